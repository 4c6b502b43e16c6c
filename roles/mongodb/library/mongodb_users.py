#!/usr/bin/python
"""Have MongoDB's users log in with the passwords that they shall have, and change only what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from pymongo import MongoClient

DOCUMENTATION = r"""
module: mongodb_users
short_description: Users of a MongoDB and their passwords
description:
  - Whether a password is right is found out by logging in with it, so that a second run changes nothing.
  - A user who is there keeps his roles; who is removed is logged out of every connection.
  - Needs pymongo.
options:
  port:
    description: TCP port on this machine.
    type: int
    required: true
  socket:
    description: A server that asks for no password, by its socket, instead.
    type: path
  admin_passwords:
    description: Passwords of the user C(admin), one of which is right.
    type: list
    elements: str
    required: true
  users:
    description: Users in order, by I(name) and I(database); I(password) and I(roles) unless I(absent).
    type: list
    elements: dict
    required: true
author: The authors of this project
"""

EXAMPLES = r"""
- name: Have the crawler log in
  mongodb_users:
    port: 27017
    admin_passwords: ["{{ mongodb_admin_password }}"]
    users:
      - {name: crawler, database: tieba, password: "{{ mongodb_crawler_password }}", roles: [readWrite]}
"""

RETURN = r"""
admin_refused:
  description: Whether none of I(admin_passwords) is right; then the module fails.
  returned: failure
  type: bool
"""

_REFUSED = 18  # AuthenticationFailed
_WAIT_MS = 10_000


def login(module: AnsibleModule, name: str, password: str, database: str) -> MongoClient[Any] | None:
    """Return a connection of a user; None where the server refuses him."""
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure

    socket = module.params["socket"]
    place = quote(socket, safe="") if socket else f"127.0.0.1:{module.params['port']}"
    who = {} if socket else {"username": name, "password": password, "authSource": database}
    client: MongoClient[Any] = MongoClient(
        f"mongodb://{place}/?directConnection=true", serverSelectionTimeoutMS=_WAIT_MS, **who
    )
    try:
        client.admin.command("ping")
    except OperationFailure as error:
        client.close()
        if error.code != _REFUSED:
            raise
        return None
    return client


def settle(module: AnsibleModule, admin: MongoClient[Any], user: dict[str, Any]) -> bool:
    """Make one user what he shall be; return whether that changes anything."""
    database = admin[user["database"]]
    is_there = bool(database.command("usersInfo", user["name"])["users"])
    if user["state"] == "absent":
        if is_there and not module.check_mode:
            database.command("dropUser", user["name"])
        return is_there
    if is_there:
        if not module.params["socket"] and (
            own := login(module, user["name"], user["password"], user["database"])
        ):
            own.close()
            return False
        if not module.check_mode:
            database.command("updateUser", user["name"], pwd=user["password"])
    elif not module.check_mode:
        database.command("createUser", user["name"], pwd=user["password"], roles=user["roles"])
    return True


def main() -> None:
    """Run the module."""
    user = {
        "name": {"type": "str", "required": True},
        "database": {"type": "str", "required": True},
        "password": {"type": "str", "no_log": True},
        "roles": {"type": "list", "elements": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    options = {
        "port": {"type": "int", "required": True},
        "socket": {"type": "path"},
        "admin_passwords": {"type": "list", "elements": "str", "required": True, "no_log": True},
        "users": {"type": "list", "elements": "dict", "required": True, "options": user},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    from pymongo.errors import PyMongoError

    try:
        logins = (login(module, "admin", password, "admin") for password in module.params["admin_passwords"])
        admin = next(filter(None, logins), None)
        if admin is None:
            module.fail_json(msg="MongoDB refuses the user admin", admin_refused=True)
        with admin:
            changed = [settle(module, admin, user) for user in module.params["users"]]
    except PyMongoError as error:
        module.fail_json(msg=f"MongoDB: {str(error).partition(', full error')[0]}", admin_refused=False)
    module.exit_json(changed=any(changed))


if __name__ == "__main__":
    main()
