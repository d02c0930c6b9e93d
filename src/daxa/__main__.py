"""``python -m daxa``: the command ``daxa`` where its folder is not on PATH."""

from daxa.cli.main import main

if __name__ == "__main__":
    main()
