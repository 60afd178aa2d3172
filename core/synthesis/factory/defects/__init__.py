"""The defects: a table of painters, grouped by what they do to a surface."""

from core.synthesis.factory.catalogue import Defect
from core.synthesis.factory.defects import added, broken, surface

DEFECTS: dict[str, Defect] = {
    defect.name: defect
    for defect in (
        Defect("scratch", "a thin line scored into the surface", surface.scratch),
        Defect("dent", "a hollow pressed into the surface", surface.dent),
        Defect("stain", "a patch soiled by a foreign liquid or powder", surface.stain),
        Defect("discolouration", "an area whose colour has changed", surface.discolouration),
        Defect("crack", "a jagged gap where the material has split", broken.crack),
        Defect("hole", "an opening where material should be", broken.hole, fades=False),
        Defect("broken edge", "material broken away at the rim", broken.broken_edge, fades=False, edge=True),
        Defect("foreign object", "something lying on the product that does not belong to it", added.foreign_object,
               fades=False),
        Defect("thread", "a loose thread or fibre lying on the product", added.thread, fades=False),
        Defect("missing part", "a part that should be there is absent", fades=False),
        Defect("misplaced part", "a part that sits at the wrong place or angle", fades=False),
        Defect("misprint", "print that is smeared, doubled or incomplete"),
    )
}  # fmt: skip

__all__ = ["DEFECTS"]
