"""Every recipe in the documentation and in recipes/ is one that edgeopt reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeopt.recipe import load_recipe
from edgeopt.transport.configured import configured

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL))
]
MADE = {"efficientnet-lite0.yaml": "images"}  # by the user, as the recipe says
SHIPPED = sorted((ROOT / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_recipes_or_devices_files(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    if text.startswith("# devices.yaml"):
        monkeypatch.setenv("EDGEOPT_DEVICES", str(path))
        assert configured()
        return
    assert load_recipe(path).targets


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_recipes_find_their_files(path: Path) -> None:
    recipe = load_recipe(path)
    spec = recipe.model
    assert recipe.data is not None
    named = [spec.path, spec.weights, spec.trained_on, recipe.data.source.partition(":")[0]]
    named += [recipe.data.classes] if isinstance(recipe.data.classes, str) else []
    named.append(spec.factory.partition(":")[0] if spec.factory else None)
    missing = [name for name in named if name and not (path.parent / name).exists()]
    missing = [name for name in missing if (path.parent / name).name != MADE.get(path.name)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
