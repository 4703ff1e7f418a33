#!/usr/bin/env bash
# litert-torch 0.10.0: an einsum over two axes that its operands have in another order is wrong.
#
# A sum over b and c of a[n, x, b, c] * b[n, c, b, y] is one product of matrices once both operands
# have the two axes in one order. The converter flattens each operand's two axes in the order that
# they have there, without a transpose, and multiplies entries that do not belong together.
# Expected: torch.einsum's own answer, or an error.
# Seen: a model of two reshapes and one BATCH_MATMUL, whose answer is that of "nxbc,nbcy->nxy".
# Workaround: permute one operand before the einsum, so that the summed axes are in one order.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 litert-torch==0.10.0 ai-edge-litert==2.3.0 numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" > "$folder/output" <<'PY' || { tail -5 "$folder/errors" >&2; exit 1; }
import litert_torch
import torch


class Sum(torch.nn.Module):
    def forward(self, a, b):
        return torch.einsum("nxbc,ncby->nxy", a, b)


torch.manual_seed(0)
a, b = torch.randn(1, 1, 2, 3), torch.randn(1, 3, 2, 1)
want = float(Sum()(a, b))
seen = float(litert_torch.convert(Sum().eval(), (a, b))(a, b).reshape(()))
wrong = float((a.flatten() * b.flatten()).sum())
print(f"\nexpected: {want:.4f}")
print(f"seen:     {seen:.4f}, and {wrong:.4f} is the sum of products in each operand's own order")
assert abs(seen - wrong) < 1e-4 < abs(seen - want), "the behaviour is another now"
PY
grep -E "^(expected|seen):" "$folder/output"
