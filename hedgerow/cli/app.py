"""The tree of commands."""

import typer

from hedgerow.cli import (
    api_tokens,
    applications,
    audit,
    clusters,
    deploy,
    images,
    login,
    machine,
    network,
    newcomers,
    people,
    plan,
    rollouts,
    values,
)

app = typer.Typer(
    help="Run services on machines at the edge: a root, its clusters, their nodes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps: [bold]hedgerow up[/], then [bold]hedgerow deploy FILE[/]; the files in examples/ say what "
    "they need. HEDGEROW_URL chooses another root than the one logged in to, HEDGEROW_TOKEN a personal API token "
    "instead of a session, HEDGEROW_CA the file with that root's CA.",
)

_MACHINE, _SERVICES, _PLACES = "This machine", "Applications and services", "Clusters and nodes"
_PEOPLE = "You and others"

app.command("up", rich_help_panel=_MACHINE)(machine.up)
app.command("down", rich_help_panel=_MACHINE)(machine.down)
app.command("status", rich_help_panel=_MACHINE)(machine.status)
app.add_typer(images.app, name="image", rich_help_panel=_MACHINE)
app.command("deploy", rich_help_panel=_SERVICES)(deploy.deploy)
app.command("plan", rich_help_panel=_SERVICES)(plan.plan)
app.add_typer(applications.app, name="app", rich_help_panel=_SERVICES)
app.add_typer(rollouts.app, name="service", rich_help_panel=_SERVICES)
app.add_typer(values.secrets, name="secret", rich_help_panel=_SERVICES)
app.add_typer(values.configs, name="config", rich_help_panel=_SERVICES)
app.add_typer(clusters.clusters, name="cluster", rich_help_panel=_PLACES)
app.add_typer(clusters.nodes, name="node", rich_help_panel=_PLACES)
app.add_typer(network.app, name="net", rich_help_panel=_PLACES)
app.add_typer(newcomers.tokens, name="token", rich_help_panel=_PLACES)
app.add_typer(newcomers.waiting, name="waiting", rich_help_panel=_PLACES)
app.command("login", rich_help_panel=_PEOPLE)(login.login)
app.command("logout", rich_help_panel=_PEOPLE)(login.logout)
app.add_typer(people.users, name="user", rich_help_panel=_PEOPLE)
app.add_typer(people.organizations, name="org", rich_help_panel=_PEOPLE)
app.add_typer(api_tokens.app, name="api-token", rich_help_panel=_PEOPLE)
app.command("audit", rich_help_panel=_PEOPLE)(audit.audit)
