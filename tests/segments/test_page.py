"""What the page on conditions shows can be used as it stands there."""

import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from apps.segments.conditions import describe, parse
from apps.segments.operators import OPERATORS

PAGE = (Path(settings.BASE_DIR) / "docs" / "conditions.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("source", EXAMPLES)
def test_every_example_is_a_condition(source):
    assert describe(parse(yaml.safe_load(source), allow_enrollment=True))


def test_the_sentence_is_what_the_product_says():
    sentence = describe(parse(yaml.safe_load(EXAMPLES[0])))

    assert f"*{sentence}.*" in " ".join(PAGE.split())


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_is_told(operator):
    assert f"`{operator}: " in PAGE
