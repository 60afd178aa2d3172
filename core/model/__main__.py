"""`python -m core.model`: build a tiny checkpoint, convert the authors' release, export a merged model, say what lies there."""

from __future__ import annotations

import argparse
import logging

from core.errors import command


@command
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m core.model", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    tiny = commands.add_parser("tiny", help="make a tiny EMIT checkpoint with random weights")
    tiny.add_argument("target", help="folder to write")
    tiny.add_argument("--seed", type=int, default=0)
    convert = commands.add_parser(
        "convert", help="convert a checkpoint in InternVL's original layout (the authors' EMIT-8B)"
    )
    convert.add_argument("source", help="folder of the release")
    convert.add_argument("target", help="folder to write")
    export = commands.add_parser("export", help="write a merged, self-contained checkpoint with a model card")
    export.add_argument("source", help="checkpoint, adapter or run folder")
    export.add_argument("target", help="new folder to write")
    export.add_argument("--title", help="heading of the model card")
    export.add_argument(
        "--notes", default="", help="Markdown for the model card: training data, figures and their protocol"
    )
    export.add_argument("--licence", default="apache-2.0")
    export.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    check = commands.add_parser("check", help="load a checkpoint and say what it is")
    check.add_argument("source", help="anything load_model takes")
    chosen = parser.parse_args(arguments)

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # Imported here, so that --help answers at once.
    if chosen.command == "tiny":
        from core.model.tiny import build_tiny

        build_tiny(chosen.target, seed=chosen.seed)
        print(f"wrote {chosen.target}")
    elif chosen.command == "convert":
        from core.model.conversion import convert_release

        print(f"wrote {convert_release(chosen.source, chosen.target)}")
    elif chosen.command == "export":
        from core.model.export import export_model

        print(
            "wrote",
            export_model(
                chosen.source,
                chosen.target,
                title=chosen.title,
                notes=chosen.notes,
                licence=chosen.licence,
                dtype=chosen.dtype,
            ),
        )
    else:
        from core.model.loading import load_model

        model, _ = load_model(chosen.source)
        config = model.config
        parameters = sum(value.numel() for value in model.parameters())
        print(f"{chosen.source}: {parameters:,} parameters in {model.dtype} on {model.device}")
        print(
            f"comparison: soft prompt {config.soft_tokens}, map {'on' if config.heatmap else 'off'}, "
            f"window {config.comparison_window}, rotations {config.comparison_rotations}, layers {config.comparison_layers}"
        )


if __name__ == "__main__":
    main()
