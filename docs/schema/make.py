"""Write the JSON Schemas of recipes, results and comparisons beside this script.

python docs/schema/make.py
"""

from __future__ import annotations

import json
from pathlib import Path

from edgeopt.recipe.form import DRAFT, recipe_schema
from edgeopt.schema.comparison import Comparison
from edgeopt.schema.result import Result

HERE = Path(__file__).parent


def schemas() -> dict[str, str]:
    """File name -> text."""
    result = {"$schema": DRAFT, **Result.model_json_schema(mode="serialization")}
    comparison = {"$schema": DRAFT, **Comparison.model_json_schema(mode="serialization")}
    made = {
        "recipe.schema.json": recipe_schema(),
        "result.schema.json": result,
        "comparison.schema.json": comparison,
    }
    return {name: json.dumps(schema, indent=1) + "\n" for name, schema in made.items()}


if __name__ == "__main__":
    for name, text in schemas().items():
        (HERE / name).write_text(text)
