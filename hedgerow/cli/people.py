"""`hedgerow user ...` and `hedgerow org ...`."""

from typing import Annotated
from urllib.parse import quote

import typer

from edge_common.model.errors import InvalidInput
from hedgerow.cli.names import Document, pick
from hedgerow.cli.output import Format, Output, say, show_data, show_rows
from hedgerow.cli.passwords import read_new_password, read_password
from hedgerow.cli.session import Api, connect

users = typer.Typer(help="Users and what they may do.", no_args_is_help=True)
organizations = typer.Typer(help="Organisations, which keep their users' applications apart.", no_args_is_help=True)

Username = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]
Organization = Annotated[str, typer.Argument(help="Name or id.", show_default=False)]
Sure = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_ROLES = "Admin, Organization_Admin, Application_Provider, Infrastructure_Provider, Viewer"
_USER_COLUMNS = (
    ("USER", lambda u: u["username"]),
    ("ROLES", lambda u: ", ".join(u["roles"])),
    ("ORGANISATION", lambda u: u["organization"]),
    ("EMAIL", lambda u: u["email"]),
)
_ORGANIZATION_COLUMNS = (
    ("ORGANISATION", lambda o: o["name"]),
    ("USERS", lambda o: len(o["member"])),
    ("ID", lambda o: o["_id"]["$oid"]),
)


@users.command("add")
def add_user(
    username: Username,
    roles: Annotated[
        list[str] | None, typer.Option("--role", "-r", help=f"{_ROLES}; may be given again.", show_default=False)
    ] = None,
    organization: Annotated[str, typer.Option("--org", help="The organisation; your own when left out.")] = "",
    email: Annotated[str, typer.Option(help="An address.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Make a user. The password is asked for, or read from standard input.

    Without --role the user is an Application_Provider.

    Examples:

        hedgerow user add ada --role Viewer --org acme

        hedgerow user add robot < password-file
    """
    body = {"username": username, "password": read_new_password(f"Password of {username}")}
    given = {"roles": roles, "organization": organization, "email": email}
    made = connect().request("POST", "/api/auth/register", json=body | {k: v for k, v in given.items() if v})
    show_rows([made], _USER_COLUMNS, output)


@users.command("ls")
def list_users(
    organization: Annotated[str, typer.Option("--org", help="Only those of this organisation.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """List the users whom you may see.

    Example: hedgerow user ls --org acme
    """
    path = f"/api/users/{_quoted(organization)}" if organization else "/api/users"
    show_rows(connect().get(path), _USER_COLUMNS, output, empty="There is no such user.")


@users.command("rm")
def remove_user(username: Username, is_sure: Sure = False) -> None:
    """Delete a user, with the sessions and API tokens; one who owns applications stays.

    Example: hedgerow user rm ada --yes
    """
    api = connect()
    if not is_sure:
        typer.confirm(f"Delete user {username}?", abort=True)
    say(api.request("DELETE", f"/api/user/{_quoted(username)}")["message"])


@users.command("set-role")
def set_role(
    username: Username,
    roles: Annotated[list[str], typer.Argument(help=f"All that the user shall have: {_ROLES}.", show_default=False)],
) -> None:
    """Give a user these roles and no others.

    Example: hedgerow user set-role ada Viewer Application_Provider
    """
    changed = connect().request("PUT", f"/api/user/{_quoted(username)}", json={"roles": roles})
    say(f"{username} has the roles {', '.join(changed['roles'])}.")


@users.command("passwd")
def change_password(
    username: Annotated[str, typer.Argument(help="Another user, as an admin.", show_default=False)] = "",
) -> None:
    """Change your password, or set another user's. It ends all sessions of that user.

    Passwords are asked for, or read from standard input: for your own first the old one, then the new one.

    Example: hedgerow user passwd
    """
    api = connect()
    if username in ("", api.username):
        _change_own_password(api)
        say("Your password is changed. Run `hedgerow login`.")
        return
    password = read_new_password(f"New password of {username}")
    api.request("PUT", f"/api/user/{_quoted(username)}", json={"password": password})
    say(f"The password of {username} is set, and {username} is logged out.")


@users.command("logout")
def log_out_user(username: Username) -> None:
    """End all sessions of a user, wherever they are; API tokens still count.

    Example: hedgerow user logout ada
    """
    say(connect().request("DELETE", f"/api/user/{_quoted(username)}/sessions")["message"])


@organizations.command("add")
def add_organization(
    name: Annotated[str, typer.Argument(help="Letters, digits, dots, dashes, underscores.", show_default=False)],
    output: Output = Format.TABLE,
) -> None:
    """Make an organisation.

    Example: hedgerow org add acme
    """
    made = connect().request("POST", "/api/organization", json={"name": name})
    show_rows([made], _ORGANIZATION_COLUMNS, output)


@organizations.command("ls")
def list_organizations(output: Output = Format.TABLE) -> None:
    """List organisations; those who are no Admin see their own.

    Example: hedgerow org ls
    """
    show_rows(connect().get("/api/organization"), _ORGANIZATION_COLUMNS, output)


@organizations.command("show")
def show_organization(organization: Organization, output: Output = Format.TABLE) -> None:
    """Show the users of an organisation.

    Example: hedgerow org show acme
    """
    found = _find(connect(), organization)
    if output is not Format.TABLE:
        show_data(found, output)
        return
    columns = (("USER", lambda m: m["user_id"]), ("ROLES", lambda m: ", ".join(m["roles"])))
    show_rows(found["member"], columns, output, empty=f"{found['name']} has no users.")


@organizations.command("rename")
def rename_organization(
    organization: Organization, name: Annotated[str, typer.Argument(help="The new name.", show_default=False)]
) -> None:
    """Give an organisation another name.

    Example: hedgerow org rename acme apex
    """
    api = connect()
    found = _find(api, organization)
    api.request("PUT", f"/api/organization/{found['_id']['$oid']}", json={"name": name})
    say(f"{found['name']} is called {name}.")


@organizations.command("rm")
def remove_organization(organization: Organization, is_sure: Sure = False) -> None:
    """Delete an organisation that has neither users nor applications.

    Example: hedgerow org rm acme --yes
    """
    api = connect()
    found = _find(api, organization)
    if not is_sure:
        typer.confirm(f"Delete organisation {found['name']}?", abort=True)
    say(api.request("DELETE", f"/api/organization/{found['_id']['$oid']}")["message"])


def _change_own_password(api: Api) -> None:
    if not api.username:
        raise InvalidInput("HEDGEROW_TOKEN is set, and a token changes no password of its user; unset it and log in.")
    old = read_password("Your password")
    body = {"oldPassword": old, "newPassword": read_new_password("Your new password")}
    api.request("POST", f"/api/user/{_quoted(api.username)}", json=body)


def _find(api: Api, name: str) -> Document:
    return pick("organisation", name, ((o, (o["_id"]["$oid"], o["name"])) for o in api.get("/api/organization")))


def _quoted(name: str) -> str:
    return quote(name, safe="")
