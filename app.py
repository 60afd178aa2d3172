"""The studio as one command: `python app.py`, then http://127.0.0.1:7860."""

import argparse

from core.errors import command


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description="EMIT Studio: browse, describe, train, compare and inspect.",
        epilog='EMIT_LOGIN="ana:secret,ben:secret" in the environment asks everybody for a name and a password. OPENAI_API_KEY '
        "and OPENAI_BASE_URL name the vision model that writes descriptions, as the Settings page does.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 opens it to the network")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--workspace", default="workspace", help="folder (or database URL) of annotations and runs")
    parser.add_argument("--mmad", metavar="ROOT", help="open the benchmark in this folder (MMAD's layout)")
    parser.add_argument("--share", action="store_true", help="also give out a public link")
    arguments = parser.parse_args()

    from studio import open_services, serve

    serve(open_services(arguments.workspace, arguments.mmad), arguments.host, arguments.port, share=arguments.share)


if __name__ == "__main__":
    main()
