"""What scripts can do through `gradio_client`: typed functions by name, on the same services as the pages. A file a page.

    client = Client("http://127.0.0.1:7860")
    client.predict("demo", {}, 1, 48, api_name="/list_samples")

A benchmark is named by its name or number; an empty name is the one the studio opens with. A mistake is a `UserError`, which
reaches the caller as one sentence. Everything here is told in docs/api.md; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.mmad import Sample
from core.runs import RunFolder

if TYPE_CHECKING:
    import gradio as gr
    from PIL import Image

    from studio.services import Opened, Services


def named(services: Services, benchmark: str) -> Opened:
    """The benchmark of that name or number; empty: the one the studio opens with."""
    if not benchmark:
        found = services.of(None)
        if found is None:
            raise UserError("The demo benchmark is still being made: try again in a minute.")
        return found
    for row in services.benchmarks():
        if benchmark in (row.name, str(row.id)):
            return services.opened(row.id)
    raise UserError(f"There is no benchmark {benchmark!r}: list_benchmarks names those there are.")


def sample_of(opened: Opened, image: str) -> Sample:
    if image not in opened.bench.by_image:
        raise UserError(f"{opened.name} has no sample {image!r}: list_samples names those there are.")
    return opened.bench.by_image[image]


def run_of(services: Services, run: str) -> RunFolder:
    found = services.queue.find(run)
    if found is None:
        raise UserError("There is no such run: choose an id of `runs`.")
    return found


def model_of(services: Services, model: str) -> str:
    """The place of a model that can be loaded, by its id of `models`."""
    from studio.views.sources import sources

    place = next((source.model for source in sources(services) if source.id == model), None)
    if place is None:
        raise UserError("There is no such model: choose an id of `models`.")
    return place


def uploaded(files: Sequence[gr.FileData]) -> list[str]:
    """The paths of uploaded files; a path of the server's own is refused."""
    from gradio.utils import get_upload_folder

    folder = Path(get_upload_folder()).resolve()
    paths = [Path(file["path"]).resolve() for file in files]
    if not all(folder in path.parents for path in paths):
        raise UserError("Files must be uploaded: wrap their paths in gradio_client.handle_file.")
    return [str(path) for path in paths]


def drawn(mask: Sequence[gr.FileData]) -> dict[str, list[Image.Image]] | None:
    """A mask file (none or one: white on black) as the pages' drawing canvas gives it."""
    from PIL import Image

    from core.pictures import open_image

    if not mask:
        return None
    shape = open_image(uploaded(mask[:1])[0]).convert("L").point(lambda value: 255 * (value > 127))
    layer = Image.new("RGBA", shape.size)
    layer.putalpha(shape)
    return {"layers": [layer]}
