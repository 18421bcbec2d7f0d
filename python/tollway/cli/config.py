"""``tollway config``: is the configuration good, and what may it say."""

import msgspec
import typer

from tollway.cli.exits import BAD_CONFIGURATION, explained
from tollway.cli.options import AsJson, ConfigFile, config_path
from tollway.cli.printing import note, print_json
from tollway.control.billing.prices import load_prices, price_file
from tollway.settings import BadConfiguration, ProviderSettings, Settings, environment, load, schema_text

config = typer.Typer(help="Check the configuration; print its schema.", no_args_is_help=True)


@config.command()
def check(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Report every fault of the configuration and of its price list, each with its line; exit 64 if there is one."""
    path = config_path(config)
    settings: Settings | None = None
    found: list[BadConfiguration] = []
    try:
        settings = load(path, environment())
    except BadConfiguration as error:
        found.append(error)
    try:
        load_prices(price_file(path))
    except BadConfiguration as error:
        found.append(error)
    if as_json:
        print_json([{"file": bad.file, **msgspec.to_builtins(fault)} for bad in found for fault in bad.faults])
    elif settings is not None and not found:
        typer.echo(f"{path} is good: {_summary(settings)}.")
    else:
        for bad in found:
            ending = explained(bad)
            for line in ending.lines if ending else ():
                note(line)
    if found:
        raise typer.Exit(BAD_CONFIGURATION)


@config.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    typer.echo(schema_text(), nl=False)


def _summary(settings: Settings) -> str:
    keyless = [lacking for name, provider in settings.providers.items() for lacking in _lacking(name, provider)]
    providers = f"providers: {len(settings.providers)}" + (f" (no key: {', '.join(keyless)})" if keyless else "")
    return f"models: {len(settings.models)}, {providers}, tenants: {len(settings.tenants)}"


def _lacking(name: str, provider: ProviderSettings) -> list[str]:
    """The provider, or those of its several keys, that can't be asked."""
    if not provider.is_configured:
        return [name]
    return [f"{name}#{key.name}" for key in provider.keys if not key.api_key]
