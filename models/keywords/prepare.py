"""Draw spoken-like words and write their spectra to ``keywords.npz``, with ``trained_on.npy``.

    python prepare.py

A word is a sequence of three sounds, each with two resonances (formants) over a buzz of the
speaker's pitch; speakers differ in pitch, in the length of their throat and in speed. Everything is
drawn from one seed: no recording is in it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RATE, SECONDS = 8000, 0.8
FRAME, HOP, BANDS = 256, 128, 32
SOUNDS = {"a": (730, 1090), "i": (270, 2290), "u": (300, 870), "e": (530, 1840), "o": (570, 840)}
WORDS = ("aiu", "uia", "eoa", "oie", "iae", "uoi", "aoe", "eui")
SPLITS = {
    "train": (range(0, 40), 75),
    "validation": (range(40, 52), 60),
    "test": (range(52, 64), 60),
}


def speaker(number: int) -> dict[str, float]:
    rng = np.random.default_rng([7, number])
    return {"pitch": rng.uniform(85, 255), "throat": rng.uniform(0.85, 1.2),
            "speed": rng.uniform(0.8, 1.25)}  # fmt: skip


def spoken(word: str, who: dict[str, float], rng: np.random.Generator) -> Any:
    """(samples,) float32 of one utterance, with noise and at some place of the window."""
    n = int(RATE * SECONDS)
    wave, start = np.zeros(n), int(rng.uniform(0, 0.12) * n)
    for sound in word:
        length = int(RATE * 0.18 * who["speed"] * rng.uniform(0.85, 1.15))
        time = np.arange(length) / RATE
        pitch = who["pitch"] * (1 + 0.05 * rng.normal())
        buzz = sum(np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6.3)) / k
                   for k in range(1, int(3600 / pitch)))  # fmt: skip
        spectrum = np.fft.rfft(buzz)
        hertz = np.fft.rfftfreq(length, 1 / RATE)
        shape = sum(1 / (1 + ((hertz - f * who["throat"] * (1 + 0.03 * rng.normal())) / 90) ** 2)
                    for f in SOUNDS[sound])  # fmt: skip
        voice = np.fft.irfft(spectrum * shape, length) * np.hanning(length)
        end = min(start + length, n)
        wave[start:end] += voice[: end - start]
        start += int(length * 0.75)
        if start >= n:
            break
    wave /= np.abs(wave).max() + 1e-9
    return (wave + rng.normal(0, rng.uniform(0.1, 0.8), n)).astype(np.float32)


def bands() -> Any:
    """(BANDS, FRAME // 2 + 1): triangles on the mel scale."""
    mel = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(FRAME, 1 / RATE)
    low, mid, high = hertz[:-2, None], hertz[1:-1, None], hertz[2:, None]
    return np.maximum(0, np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)))


def spectra(wave: Any) -> Any:
    """(frames, BANDS) int8: four times the logarithm of each band's power."""
    starts = range(0, len(wave) - FRAME + 1, HOP)
    frames = np.stack([wave[s : s + FRAME] for s in starts]) * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames)) ** 2 @ bands().T
    return np.clip(np.round(4 * np.log(power + 1e-4)), -128, 127).astype(np.int8)


def sample_hashes(samples: Any) -> Any:
    """(n,) uint64: the first eight bytes of the SHA-256 of each sample's raw bytes."""
    digests = [hashlib.sha256(np.ascontiguousarray(x).tobytes()).digest()[:8] for x in samples]
    return np.array([int.from_bytes(d, "big") for d in digests], np.uint64)


def main() -> None:
    arrays: dict[str, Any] = {}
    for split, (speakers, each) in SPLITS.items():
        made, labels, who = [], [], []
        for number in speakers:
            rng = np.random.default_rng([11, number])
            for _ in range(each):
                label = int(rng.integers(len(WORDS)))
                made.append(spectra(spoken(WORDS[label], speaker(number), rng)))
                labels.append(label)
                who.append(number)
        arrays |= {f"{split}.spectra": np.stack(made), f"{split}.label": np.array(labels, np.uint8),
                   f"{split}.speaker": np.array(who, np.uint8)}  # fmt: skip
        print(f"{split}: {len(made)} words of {len(speakers)} speakers, {made[0].shape} each")
    np.savez_compressed(HERE / "keywords.npz", **arrays)
    np.save(HERE / "trained_on.npy", np.sort(sample_hashes(arrays["train.spectra"])))


if __name__ == "__main__":
    main()
