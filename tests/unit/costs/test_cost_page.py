"""docs/cost.md shows what the commands in it print."""

from tests.support.cost_page import BLOCK, PAGE, with_output


def test_every_block_is_what_its_commands_print() -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) >= 5
    for block in blocks:
        assert block == with_output(block), "run `.venv/bin/python -m tests.support.cost_page`, and check the result"
