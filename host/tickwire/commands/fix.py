"""``tickwire fix``: FIX sessions, one module a sub-command."""

from cyclopts import App

COMMANDS = {
    "decode": "Print messages of a file, readable or as JSON.",
    "acceptor": "Run the echo server for acceptance definitions, until Ctrl-C.",
    "sessions": "Show or edit the stored numbers of sessions.",
    "audit": "Show an audit log: every octet in and out with its time.",
}

fix = App(name="fix", help="FIX: messages readable, acceptance, stored numbers, audit logs.")
for _name, _text in COMMANDS.items():
    fix.command(f"tickwire.commands.fix_{_name}:{_name}", name=_name, help=_text)
