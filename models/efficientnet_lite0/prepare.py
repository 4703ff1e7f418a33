"""Cut the photographs of the package scikit-image into a folder of images, by split.

    pip install --no-deps --target SITE scikit-image==0.26.0
    python prepare.py SITE images

Crops of 224 by 224 pixels, half of that apart; a photograph is in one split only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

SIDE, STEP = 224, 112
PHOTOGRAPHS = {
    "calibration": ("coffee.png", "rocket.jpg"),
    "validation": ("astronaut.png", "chelsea.png", "motorcycle_left.png"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path, help="the folder that holds skimage/")
    parser.add_argument("into", type=Path, help="the folder to make")
    asked = parser.parse_args()
    for split, names in PHOTOGRAPHS.items():
        folder = asked.into / split
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            photograph = Image.open(asked.site / "skimage" / "data" / name).convert("RGB")
            width, height = photograph.size
            for top in range(0, height - SIDE + 1, STEP):
                for left in range(0, width - SIDE + 1, STEP):
                    crop = photograph.crop((left, top, left + SIDE, top + SIDE))
                    crop.save(folder / f"{Path(name).stem}-{top}-{left}.png")
        print(f"{split}: {len(list(folder.iterdir()))} images")


if __name__ == "__main__":
    main()
