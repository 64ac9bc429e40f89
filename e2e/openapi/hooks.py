"""What schemathesis has to be told of Propusk: who calls, what there is to call about, and what to leave alone.

Without this, every path would name things that are not there, and the first call that takes the caller's own rights away
would turn all later answers into 401: nothing would be shown. So

- the calls are those of a client with the role of an administrator and of a person with an account, which sign in again
  whenever what they have is of no use any more;
- most paths name something that there is, out of a pool that is filled up again when it runs low;
- nothing is done to that client, whose end would be the end of the run.

At the end the statuses that each call was answered with are written to PROPUSK_STATUSES.
"""

import atexit
import itertools
import json
import os
from collections import Counter, defaultdict

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

URL = os.environ["PROPUSK_URL"]
CLIENT = os.environ["PROPUSK_CLIENT"]
SECRET = os.environ["PROPUSK_SECRET"]
PERSON = os.environ["PROPUSK_PERSON"]
PASSWORD = os.environ["PROPUSK_PASSWORD"]

# Least of each kind that there are, and after how many calls that is looked after.
LEAST = 6
LOOK_EVERY = 60

own = requests.Session()
own.trust_env = False
calls = itertools.count()
names = itertools.count()
statuses = defaultdict(Counter)


def client_token():
    answer = own.post(
        f"{URL}/oauth/token",
        auth=(CLIENT, SECRET),
        data={"grant_type": "client_credentials", "audience": "propusk"},
    )
    answer.raise_for_status()
    return answer.json()["access_token"]


def person_tokens():
    answer = own.post(f"{URL}/auth/login", json={"username": PERSON, "password": PASSWORD})
    answer.raise_for_status()
    return answer.json()


def kind_of_caller(case, context):
    """A person has sessions; the endpoints of OAuth know clients; everything else is for administrators."""
    path = case.operation.path
    return "person" if path.startswith("/auth/") else "client" if path.startswith("/oauth/") else "administrator"


@schemathesis.auth(refresh_interval=60, cache_by_key=kind_of_caller)
class Caller:
    def get(self, case, context):
        kind = kind_of_caller(case, context)
        if kind == "person":
            return f"Bearer {person_tokens()['access_token']}"
        if kind == "client":
            return requests.auth._basic_auth_str(CLIENT, SECRET)
        return f"Bearer {client_token()}"

    def set(self, case, data, context):
        case.headers["Authorization"] = data


def admin(method, path, body=None):
    """A call of our own, that nobody counts."""
    for _ in range(3):
        answer = own.request(
            method, f"{URL}/admin/v1{path}", json=body, headers={"Authorization": f"Bearer {Pool.token}"}
        )
        if answer.status_code != 401:
            return answer
        Pool.token = client_token()
    return answer


def items(path):
    answer = admin("GET", path)
    return answer.json()["items"] if answer.status_code == 200 else []


class Pool:
    """What there is, by the name that it has in a path."""

    token = ""
    person = ""
    known = {}

    @classmethod
    def fill(cls):
        cls.token = client_token()
        for _ in range(LEAST - len(cls.look("/users", "id"))):
            admin("POST", "/users", {"username": f"made{next(names)}x"})
        for _ in range(LEAST - len(cls.look("/groups", "id"))):
            admin("POST", "/groups", {"id": f"made-{next(names)}"})
        for _ in range(LEAST - len(cls.look("/clients", "client_id"))):
            admin("POST", "/clients", client(f"made-{next(names)}"))
        for _ in range(LEAST - len(cls.look("/services", "id"))):
            admin("POST", "/services", {"id": f"made-{next(names)}", "alg": "Ed25519"})
        services = cls.look("/services", "id")
        for service in services:
            admin("PUT", f"/services/{service}/roles/made", {"permissions": [f"{service}:use"]})
            admin("PUT", f"/exchange-rules/{cls.look('/clients', 'client_id')[0]}/{service}", rule(service))
        users = cls.look("/users", "id")
        cls.person = items(f"/users?username={PERSON}")[0]["id"]
        person_tokens()
        cls.known = {
            "users": users,
            "groups": cls.look("/groups", "id"),
            "clients": cls.look("/clients", "client_id"),
            "services": services,
            "keys": [key["kid"] for service in services for key in items(f"/services/{service}/keys")],
            "sessions": [session["id"] for session in items(f"/sessions?user_id={cls.person}")],
        }

    @classmethod
    def look(cls, path, member):
        """The ids of a list, without those on which the run depends."""
        kept = {CLIENT, "auth-api", "propusk", "admin"}
        found = [item[member] for item in items(f"{path}?limit=200") if item.get("username") != PERSON]
        return [one for one in found if one not in kept]


def client(name):
    return {
        "client_id": name,
        "client_name": name,
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic",
        "audiences": [],
    }


def rule(service):
    return {"subjects": ["user"], "from": [service]}


def is_as_documented(case, location):
    """Whether this part of a call was made to fit the document; what was made not to fit is left so."""
    component = case.meta.components.get(location) if case.meta else None
    return component is None or component.mode == GenerationMode.POSITIVE


def one_of(values, number):
    return values[number % len(values)]


def fill_path(case, number):
    known = Pool.known
    holder = case.path.split("/")[3] if case.path.startswith("/admin/v1/") else ""
    for name in case.path_parameters:
        if name == "id":
            # The sessions of a person under /auth, of everybody under /admin.
            value = one_of(known[holder or "sessions"], number)
        elif name in ("service", "audience", "aud"):
            value = one_of(known["services"], number)
        elif name == "role":
            value = "made"
        elif name == "permission":
            value = f"made:p{number % 5}"
        elif name == "user_id":
            value = one_of(known["users"], number)
        elif name == "actor_client":
            value = known["clients"][0]
        elif name == "kid":
            value = one_of(known["keys"], number)
        elif name == "pem":
            value = "public.pem"
        else:
            raise ValueError(f"{case.path}: nothing is known about {{{name}}}")
        case.path_parameters[name] = value


def fill_body(case, number):
    """Gives members a sense that no schema can express."""
    body = case.body
    if case.path == "/auth/login":
        body.update(username=PERSON, password=PASSWORD)
        body.pop("audience", None)
    elif case.path in ("/auth/refresh", "/auth/logout"):
        body["refresh_token"] = person_tokens()["refresh_token"]
        body.pop("audience", None)
    elif case.path == "/auth/register":
        body.update(username=f"registered{number}", password=PASSWORD)
        body.pop("email", None)
    elif case.path == "/auth/password":
        body.update(current_password=PASSWORD, new_password=PASSWORD)
    elif case.path == "/oauth/token":
        body.clear()
        body.update(grant_type="client_credentials", audience="propusk")
    elif case.path in ("/oauth/introspect", "/oauth/revoke"):
        body.clear()
        body["token"] = client_token()
    elif case.path.startswith("/admin/v1/"):
        fill_admin_body(case.path, case.method.upper(), body, number)


def fill_admin_body(path, method, body, number):
    for member, value in {
        "alg": "Ed25519",
        "access_ttl_s": 60,
        "audiences": [one_of(Pool.known["services"], number)],
        "email": f"made{number}@example.org",
        "from": [one_of(Pool.known["services"], number)],
        "grant_types": ["client_credentials"],
        "inherits": [],
        "password": PASSWORD,
        "permissions": [f"made:p{number % 7}"],
        "redirect_uris": ["https://app.example/callback"],
        "subjects": ["user"],
        "token_endpoint_auth_method": "client_secret_basic",
        "username": f"made{number}",
        "client_name": "made",
        "overlap_s": 0,
    }.items():
        if member in body:
            body[member] = value
    for member in ("jws_alg", "resource_uri", "rotate_every_s"):
        body.pop(member, None)
    if path == "/admin/v1/tokens/revoke":
        body.clear()
        body["jti"] = f"made-{number}"
    if path == "/admin/v1/users/import":
        body["items"] = [{"username": f"imported{number}"}]
    if method == "POST" and "id" in body:
        body["id"] = f"made-{number}"
    if method == "POST" and path == "/admin/v1/clients":
        body["client_id"] = f"made-{number}"


@schemathesis.hook
def before_call(context, case, kwargs):
    number = next(calls)
    if number % LOOK_EVERY == 0:
        Pool.fill()
    # One in four stays as it was made.
    if number % 4 != 3:
        if case.path_parameters and is_as_documented(case, ParameterLocation.PATH):
            fill_path(case, number)
        if isinstance(case.body, dict) and is_as_documented(case, ParameterLocation.BODY):
            fill_body(case, number)
        if is_as_documented(case, ParameterLocation.QUERY):
            fill_query(case, number)
        if case.headers.get("If-Match") is not None and is_as_documented(case, ParameterLocation.HEADER):
            case.headers["If-Match"] = "*"
    for name, value in case.path_parameters.items():
        if value in (CLIENT, Pool.person):
            case.path_parameters[name] = "none"


def fill_query(case, number):
    for member, value in {
        "user_id": one_of(Pool.known["users"], number),
        "permission": "cars:buy",
        "service": "cars",
        "username": PERSON,
        "wait": "committed",
    }.items():
        if member in case.query:
            case.query[member] = value
    # Nobody but the server can make one.
    case.query.pop("cursor", None)


@schemathesis.hook
def after_call(context, case, response):
    statuses[f"{case.method.upper()} {case.path}"][response.status_code] += 1


@atexit.register
def write():
    with open(os.environ["PROPUSK_STATUSES"], "w", encoding="utf-8") as file:
        json.dump(statuses, file)
