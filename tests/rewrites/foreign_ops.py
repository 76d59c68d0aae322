"""Every operator that ONNX does not have and that is rewritten, with what draws its configurations."""

from __future__ import annotations

import contrib_attention
import contrib_norms
import contrib_quantized
import contrib_quantized_ops
import ml_models
from foreign_models import Draw

DRAWS: dict[str, Draw] = {
    **contrib_attention.DRAWS,
    **contrib_norms.DRAWS,
    **contrib_quantized.DRAWS,
    **contrib_quantized_ops.DRAWS,
    **ml_models.DRAWS,
}
"""By op type."""
