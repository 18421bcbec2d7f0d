"""``tollway guardrails``: policies of the configuration and of the database, changed and tried from a terminal."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, get_args

import msgspec
import typer
import yaml

from tollway.cli.database import actor, ask
from tollway.cli.exits import FAILED, CommandFailed
from tollway.cli.options import AsJson, ConfigFile, DataDir, load_settings
from tollway.cli.printing import note, print_fields, print_json, print_table
from tollway.contract.guardrails import Direction, Policy
from tollway.contract.snapshot import Operation
from tollway.control.guardrails import queries, rules
from tollway.control.guardrails.queries import PolicyVersion
from tollway.control.guardrails.rules import FullPolicy
from tollway.control.guardrails.view import Examined, Finding, Trial
from tollway.control.policies import declared_policy
from tollway.errors import InvalidRequest
from tollway.rulebook import examined, native_only
from tollway.settings import Settings
from tollway.storage.pool import Connection

PAGE = 1000
OPENING, CLOSING = "⟦", "⟧"
"""What stands around a finding in a text."""

LONGEST_POLICY_BYTES: Final = 64 << 10

Name = Annotated[str, typer.Argument(metavar="POLICY", help="The policy's name.")]
IfVersion = Annotated[
    int | None, typer.Option("--if-version", min=0, help="Refuse unless this version holds; 0: none does.")
]

guardrails = typer.Typer(help="List, show, change and try guardrail policies.", no_args_is_help=True)


@guardrails.command("list")
def list_all(config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all policies by name, those of the configuration and those of the database."""
    settings = load_settings(config, data_dir)
    found = rules.listed(ask(settings, queries.list_policies), settings)
    if as_json:
        print_json(found)
        return
    headings = ("name", "version", "mode", "input", "output", "changed", "managed by")
    rows = (
        (
            policy.name,
            str(policy.version),
            policy.mode,
            ", ".join(policy.input) or None,
            ", ".join(policy.output) or None,
            policy.created_at,
            policy.managed_by,
        )
        for policy in found
    )
    print_table(headings, rows, "There is no policy yet: tollway guardrails put NAME FILE")


@guardrails.command()
def show(
    name: Name,
    version: Annotated[int | None, typer.Option("--version", min=1, help="Of the database; else what holds.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one policy, and to how many tenants and keys of the database it is bound."""
    settings = load_settings(config, data_dir)

    async def work(connection: Connection) -> FullPolicy:
        bound = await queries.bound_to(connection, name)
        declared = settings.guardrails.get(name)
        if declared is not None and version is None:
            return rules.full_declared(name, declared, bound)
        stored = _found(await queries.find_policy(connection, name, version), name)
        return rules.full_stored(stored, bound, rules.faults_of(stored, settings))

    _print(ask(settings, work), as_json)


@guardrails.command()
def versions(name: Name, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the versions of a policy of the database, newest first; also of one that is deleted."""
    settings = load_settings(config, data_dir)

    async def work(connection: Connection) -> list[PolicyVersion]:
        found: list[PolicyVersion] = []
        while True:
            before = found[-1].version if found else None
            page = await queries.list_versions(connection, name, limit=PAGE, before=before)
            found += page
            if len(page) < PAGE:
                return found

    found = ask(settings, work)
    if not found:
        rules.refuse_declared(name, settings.guardrails.keys())
        raise _unknown(name)
    if as_json:
        print_json(_plain(found))
        return
    rows = ((each.version, each.is_active, each.created_at, each.created_by) for each in found)
    print_table(("version", "holds", "made", "by"), rows, "")


@guardrails.command()
def put(
    name: Name,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What it says, as YAML or JSON; - is standard input.")],
    if_version: IfVersion = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a policy, or its next version. Every worker of every host follows within a second."""
    settings = load_settings(config, data_dir)
    rules.new_name(name, settings.guardrails.keys())
    body = _policy_file(file)
    rules.checked_policy(name, body, settings)

    async def work(connection: Connection) -> FullPolicy:
        stored = await queries.put_policy(connection, name, body, actor(), if_version=if_version)
        return rules.full_stored(stored, await queries.bound_to(connection, name), ())

    _print(ask(settings, work), as_json)


@guardrails.command()
def restore(
    name: Name,
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="What it says is to hold again.")],
    if_version: IfVersion = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let hold again what an old version says, as the next one."""
    settings = load_settings(config, data_dir)
    rules.new_name(name, settings.guardrails.keys())

    async def work(connection: Connection) -> FullPolicy:
        old = _found(await queries.find_policy(connection, name, version), name)
        body = bytes(old.policy)
        rules.checked_policy(name, body, settings)
        stored = await queries.put_policy(connection, name, body, actor(), if_version=if_version, restored=version)
        return rules.full_stored(stored, await queries.bound_to(connection, name), ())

    _print(ask(settings, work), as_json)


@guardrails.command()
def delete(
    name: Name,
    if_version: IfVersion = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a policy hold no more; its versions stay. Refused while it is bound to a tenant or a key."""
    settings = load_settings(config, data_dir)
    rules.refuse_declared(name, settings.guardrails.keys())

    async def work(connection: Connection) -> FullPolicy:
        stored = _found(await queries.delete_policy(connection, name, actor(), if_version=if_version), name)
        return rules.full_stored(stored, await queries.bound_to(connection, name), ())

    _print(ask(settings, work), as_json)


@guardrails.command("test")
def try_out(
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="What to try it on; else standard input.")
    ] = None,
    policy: Annotated[str, typer.Option("--policy", help="The policy's name.")] = "default",
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="A policy in a file instead, as YAML or JSON.")
    ] = None,
    direction: Annotated[
        Direction, typer.Option("--direction", help="Its checks of requests, or of answers.")
    ] = "input",
    operation: Annotated[
        str | None,
        typer.Option("--request", metavar="OPERATION", help="The text is the body of such a request: chat, …"),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what a policy finds in a text, and what it makes of it; exit 1 where it would be blocked.

    It works without a gateway, and without a database for policies of the configuration. Checks that ask somebody else
    are left out. Hashes and placeholders are not those of any tenant.
    """
    settings = load_settings(config, data_dir)
    if text is None:
        text = _standard_input(rules.LONGEST_TEXT_BYTES)
    trial = Trial(direction=direction, text=text)
    if operation is not None:
        trial = Trial(direction=direction, request=text.encode(), operation=_operation(operation))
    trying, tried = native_only(_meant(settings, policy, file), b"", trial)
    found = examined(tried, trying.others)
    if as_json:
        print_json(_plain(found))
    else:
        _print_examined(found, None if trial.request else text)
    if found.blocked:
        raise typer.Exit(FAILED)


def _meant(settings: Settings, name: str, file: str | None) -> Policy:
    """The policy of a file, of the configuration, or of the database."""
    if file is not None:
        return rules.checked_policy("inline", _policy_file(file), settings)
    if name in settings.guardrails:
        return declared_policy(name, settings.guardrails[name])
    stored = _found(ask(settings, lambda connection: queries.find_policy(connection, name)), name)
    return rules.checked_policy(name, bytes(stored.policy), settings)


def _policy_file(file: str) -> bytes:
    """What a file says, as JSON.

    Raises:
        CommandFailed: it can't be read.
    """
    try:
        text = _standard_input(LONGEST_POLICY_BYTES) if file == "-" else _text(Path(file))
        return msgspec.json.encode(yaml.safe_load(text))
    except (yaml.YAMLError, RecursionError, TypeError, ValueError, OverflowError):
        raise CommandFailed(f"{file} is neither YAML nor JSON.") from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(LONGEST_POLICY_BYTES + 1), LONGEST_POLICY_BYTES)
    except OSError as error:
        raise CommandFailed(f"{path} can't be read: {error.strerror}.") from None


def _standard_input(longest_bytes: int) -> str:
    return _bounded(sys.stdin.buffer.read(longest_bytes + 1), longest_bytes)


def _bounded(data: bytes, longest_bytes: int) -> str:
    if len(data) > longest_bytes:
        raise CommandFailed(f"This is larger than {longest_bytes >> 10} KiB.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandFailed("This is not UTF-8.") from None


def _operation(word: str) -> Operation:
    for operation in get_args(Operation):
        if operation == word:
            found: Operation = operation
            return found
    raise InvalidRequest(f"There is no operation {word[:100]!a}. There are: {', '.join(get_args(Operation))}.")


def _found(stored: PolicyVersion | None, name: str) -> PolicyVersion:
    if stored is None:
        raise _unknown(name)
    return stored


def _unknown(name: str) -> CommandFailed:
    return CommandFailed(f"There is no policy {name}, or no such version of it; `tollway guardrails list` shows them.")


def _print(policy: FullPolicy, as_json: bool) -> None:
    if as_json:
        print_json(policy)
        return
    print_fields(
        {
            "name": policy.name,
            "version": str(policy.version),
            "managed by": policy.managed_by,
            "holds": policy.is_active,
            "bound to": f"{policy.bound.tenants:,} tenants, {policy.bound.keys:,} keys",
            "made": policy.created_at,
            "by": policy.created_by,
        }
    )
    for fault in policy.faults:
        note(f"Not understood here: {fault}")
    typer.echo(yaml.safe_dump(policy.policy, sort_keys=False, allow_unicode=True), nl=False)


def _print_examined(found: Examined, text: str | None) -> None:
    headings = ("check", "kind", "action", "count", "from", "to", "confidence")
    rows = (
        (each.check, each.kind, each.action, each.count, each.start, each.end, _percent(each))
        for each in found.findings
    )
    print_table(headings, rows, "Nothing is found.")
    if text is not None and found.findings:
        typer.echo(f"\nfound:   {marked(text, found.findings)}")
    if found.blocked:
        note("It would be blocked.")
    elif found.findings:
        passed = bytes(found.request).decode() if found.request is not None else found.text
        typer.echo(f"passes:  {passed}")
    if found.skipped:
        note(f"Left out, for it asks somebody else: {', '.join(found.skipped)}.")


def _plain(value: object) -> object:
    """The same, as far as JSON can say it: what is JSON already is looked into."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _percent(found: Finding) -> str | None:
    return None if found.confidence is None else f"{found.confidence:.0%}"


def marked(text: str, findings: tuple[Finding, ...]) -> str:
    """The text with brackets around what was found; around all of what overlaps."""
    pieces: list[str] = []
    done = 0
    for start, end in _united((found.start, found.end) for found in findings):
        pieces += [text[done:start], OPENING, text[start:end], CLOSING]
        done = end
    return "".join([*pieces, text[done:]])


def _united(places: Iterable[tuple[int | None, int | None]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, end in sorted((start, end) for start, end in places if start is not None and end is not None):
        if united and start < united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united
