"""docs/attacks.md: every named test and limit exists, and every limit on what clients do has its attack."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from greenwire.limits import Limits

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "attacks.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
ROWS = [row for row in ROWS if row[0] != "attack"]
PROOFS = sorted({proof for row in ROWS for proof in re.findall(r"`(tests/[^`]+)`", row[3])})
OF_CLIENTS = ("connections", "HTTP requests", "HTTP responses", "WebSocket", "Engine.IO", "Socket.IO")


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def limits_of_clients() -> list[str]:
    """Those that stand in limits.py under a heading about clients."""
    section, found = "", []
    for line in (ROOT / "src" / "greenwire" / "limits.py").read_text().splitlines():
        if line.startswith("    # --- "):
            section = line.removeprefix("    # --- ")
        elif section in OF_CLIENTS and (match := re.match(r"    (\w+): ", line)):
            found.append(match[1])
    return found


@pytest.mark.parametrize("proof", PROOFS)
def test_the_proof_exists(proof: str) -> None:
    path, _, name = proof.partition("::")
    assert name.startswith("test_")
    assert name in functions(ROOT / path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_is_complete(row: list[str]) -> None:
    attack, answer, limits, proof = row
    assert attack
    assert answer
    assert proof.startswith("`tests/")
    names = re.findall(r"`(\w+)`", limits)
    assert names or limits == "–"
    assert set(names) <= {field.name for field in fields(Limits)}


@pytest.mark.parametrize("name", limits_of_clients())
def test_each_limit_answers_an_attack(name: str) -> None:
    assert any(f"`{name}`" in row[2] for row in ROWS)
