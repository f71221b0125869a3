"""Writes tests/fix/definitions from tests/fix/cases: ``python -m tests.fix.write_definitions``.

A case stands once, for every version and for both roles of the engine; a definition is the same
case in the language of :mod:`tests.fix.runner`, which other engines' runners read too. In a case
``|`` ends a field, and what is the same in every message (8, 49, 52, 56) is added:

    == NAME: what it shows   (or == NAME [acceptor fix44]: ... for that role and version only)
    LOGON [HEARTBEAT]        connect and log on, whoever begins
    LOGOUT [N M]             we log off with number N, the engine answers with M
    I 35=0|34=2|112=X        we send; E ... we expect
    RAW 8=...                we send octets as they are; {BEGIN} {US} {ENGINE} are filled in
    iCONNECT eDISCONNECT ... as in a definition; I2 E2 on connection 2
    @fix42,fix44 LINE        only for these versions;  @acceptor / @initiator only for this role
    ?373=13                  a field that FIX.4.2 has not;  ?1137=9 one that only FIXT has

The engine is ISLD as an acceptor, and TW42, TW44 or TW50SP2 as an initiator.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
DEFINITIONS = HERE / "definitions"
VERSIONS = {"fix42": ("FIX.4.2", "TW42"), "fix44": ("FIX.4.4", "TW44"),
            "fix50sp2": ("FIXT.1.1", "TW50SP2")}
ROLES = ("acceptor", "initiator")
HEADER = (34, 43, 49, 50, 52, 56, 57, 97, 115, 116, 122, 128, 129, 144, 145)


class Case:
    """One case, read from its text."""

    def __init__(self, text: str) -> None:
        title, *lines = text.strip("\n").split("\n")
        match = re.fullmatch(r"== (\S+)(?: \[(.*)\])?: (.*)", title)
        if not match:
            raise ValueError(f"no title of a case: {title}")
        self.name, only, self.about = match.groups()
        self.only = set((only or "").split())
        self.lines = [line.strip() for line in lines if line.strip()]

    def definition(self, version: str, role: str) -> bytes | None:
        """Return the definition, or nothing where the case is not for this version or role."""
        if self.only - set(VERSIONS) - set(ROLES):
            raise ValueError(f"{self.name}: neither version nor role: {self.only}")
        if (self.only & set(ROLES) and role not in self.only) or (
                self.only & set(VERSIONS) and version not in self.only):
            return None
        steps = []
        for line in self.lines:
            chosen = set()
            if line.startswith("@"):
                words, _, line = line.partition(" ")
                chosen = set(words[1:].split(","))
            if not chosen or any({version, role} >= set(one.split("+")) for one in chosen):
                steps += expanded(line, version, role)
        about = [f"# {line}" for line in (self.about, "Written from tests/fix/cases.")]
        text = "\n".join([*about, *steps]) + "\n"
        return text.replace("|", "\x01").encode("latin-1")


def expanded(line: str, version: str, role: str) -> list[str]:
    """Return the steps of one line of a case."""
    begin, peer = VERSIONS[version]
    us, engine = (peer, "ISLD") if role == "acceptor" else ("ISLD", peer)
    words = line.split()
    tail = "|?1137=9"
    if words[0] == "LOGON":
        ours = f"35=A|34=1|98=0|108={words[1] if len(words) > 1 else 30}{tail}"
        order = ("iCONNECT", f"I {ours}", f"E {ours}") if role == "acceptor" else (
            "eCONNECT", f"E {ours}", f"I {ours}")
        return [step for part in order for step in expanded(part, version, role)]
    if words[0] == "LOGOUT":
        ours, theirs = words[1:3]
        return [step for part in (f"I 35=5|34={ours}", f"E 35=5|34={theirs}", "eDISCONNECT")
                for step in expanded(part, version, role)]
    found = re.fullmatch(r"([IE])(\d?) (.*)", line)
    if found:
        letter, connection, fields = found.groups()
        sender, target = (us, engine) if letter == "I" else (engine, us)
        moment = "<TIME>" if letter == "I" else "00000000-00:00:00.000"
        message = complete(fields.split("|"), begin, sender, target, moment, version)
        return [f"{letter}{connection + ',' if connection else ''}{message}"]
    if words[0] == "RAW":
        filled = line[4:].replace("{BEGIN}", begin).replace("{US}", us)
        return ["I" + filled.replace("{ENGINE}", engine)]
    return [line]


def complete(fields: list[str], begin: str, sender: str, target: str, moment: str,
             version: str) -> str:
    """Return a message with what every message has, its header in the order of an engine."""
    kept = []
    for field in fields:
        if field.startswith("?"):
            field = field[1:]
            if field.startswith("373") and version == "fix42":
                continue
            if field.startswith("1137") and version != "fix50sp2":
                continue
        if field:
            kept.append(field)
    kind, *rest = kept
    header = {field.partition("=")[0]: field for field in rest
              if field.partition("=")[0].isdigit() and int(field.partition("=")[0]) in HEADER}
    body = [field for field in rest if field not in header.values()]
    for tag, value in (("49", sender), ("52", moment), ("56", target)):
        header.setdefault(tag, f"{tag}={value}")
    ordered = [header[tag] for tag in sorted(header, key=int) if not header[tag].endswith("=-")]
    return "|".join([f"8={begin}", kind, *ordered, *body]) + "|"


def definitions() -> dict[Path, bytes]:
    """Return every definition by its path below the folder of definitions."""
    found = {}
    for path in sorted((HERE / "cases").glob("*.txt")):
        text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for part in re.split(r"^(?=== )", text, flags=re.MULTILINE)[1:]:
            case = Case(part)
            for version in VERSIONS:
                for role in ROLES:
                    definition = case.definition(version, role)
                    if definition is not None:
                        found[Path(version) / role / f"{case.name}.def"] = definition
    return found


def main() -> int:
    """Write what is missing or differs, delete what no case gives."""
    wanted = definitions()
    for path in DEFINITIONS.rglob("*.def"):
        if path.relative_to(DEFINITIONS) not in wanted:
            path.unlink()
    for name, octets in wanted.items():
        path = DEFINITIONS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != octets:
            path.write_bytes(octets)
    print(f"{len(wanted)} definitions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
