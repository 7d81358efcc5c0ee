#!/usr/bin/env python3
"""Keeps Markdown files in one comment on a pull or merge request: the first time it is written, then it is edited in place.

Of the standard library alone. What it is told comes from the environment of GitHub Actions or GitLab CI, and CROSSFADE_REVIEW_TOKEN. Without
a token that may comment, as in requests from forks, only the job's summary is written. The token goes into one header and nowhere else: no
message has it, and no other host is sent it.
"""

import argparse
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

GITHUB_COMMENT = 65_536  # characters
GITLAB_COMMENT = 1_000_000
GITHUB_SUMMARY = 1_000_000  # bytes; the limit is 1 MiB for a step
BOT = "github-actions[bot]"
TRIES = 3


class Refused(Exception):
    """The token may not do that."""


class Failed(Exception):
    """It did not work; the message is for people."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the token to wherever it points."""

    def redirect_request(self, *_):
        return None


class Api:
    """One service, spoken to with one token."""

    def __init__(self, address, headers):
        parts = urllib.parse.urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise Failed(f"the token is not sent to {parts.scheme}://{parts.hostname}: it is not https")
        self.address = address.rstrip("/")
        self.headers = headers
        self.opener = urllib.request.build_opener(NoRedirect)

    def call(self, method, path, body=None):
        """What the service answers, as a value."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=data, method=method)
        request.add_header("User-Agent", "crossfade-review")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)
        for left in reversed(range(TRIES)):
            try:
                with self.opener.open(request, timeout=30) as answer:
                    text = answer.read()
                    return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                said = reason(error)
                # What was written may have been written: only a read is asked for again.
                if left and method == "GET" and (error.code >= 500 or error.code == 429):
                    time.sleep(float(os.environ.get("CROSSFADE_REVIEW_PAUSE", "2")))
                    continue
                if error.code in (403, 404):
                    raise Refused(f"{method} {path}: {error.code} {said}") from None
                raise Failed(f"{method} {path}: {error.code} {said}") from None
            except (urllib.error.URLError, OSError, ValueError) as error:
                if left and method == "GET":
                    time.sleep(float(os.environ.get("CROSSFADE_REVIEW_PAUSE", "2")))
                    continue
                raise Failed(f"{method} {path}: {getattr(error, 'reason', error)}") from None

    def pages(self, path):
        """Every entry of a list."""
        page = 1
        while True:
            found = self.call("GET", f"{path}?per_page=100&page={page}") or []
            yield from found
            if len(found) < 100:
                return
            page += 1


def reason(error):
    """What the service says of a failure, in one line."""
    try:
        said = json.loads(error.read()).get("message", "")
    except (ValueError, AttributeError, OSError):
        said = ""
    return " ".join(str(said).split())[:200]


class GitHub:
    """A pull request."""

    most = GITHUB_COMMENT

    def __init__(self, env, token):
        self.repository = env["GITHUB_REPOSITORY"]
        self.number = number_of(env)
        self.author = env.get("CROSSFADE_REVIEW_AUTHOR") or BOT
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
        self.api = Api(env.get("GITHUB_API_URL") or "https://api.github.com", headers)

    def own(self, marker):
        """Comments of ours. Somebody else's that begins like ours is theirs to edit, and so not ours to trust."""
        for comment in self.api.pages(f"/repos/{self.repository}/issues/{self.number}/comments"):
            author = (comment.get("user") or {}).get("login")
            if author == self.author and (comment.get("body") or "").startswith(marker):
                yield comment["id"], comment["body"]

    def write(self, body):
        self.api.call("POST", f"/repos/{self.repository}/issues/{self.number}/comments", {"body": body})

    def edit(self, comment, body):
        self.api.call("PATCH", f"/repos/{self.repository}/issues/comments/{comment}", {"body": body})

    def remove(self, comment):
        self.api.call("DELETE", f"/repos/{self.repository}/issues/comments/{comment}")


class GitLab:
    """A merge request."""

    most = GITLAB_COMMENT

    def __init__(self, env, token):
        project = urllib.parse.quote(env["CI_PROJECT_ID"], safe="")
        self.notes = f"/projects/{project}/merge_requests/{int(env['CI_MERGE_REQUEST_IID'])}/notes"
        self.api = Api(env["CI_API_V4_URL"], {"PRIVATE-TOKEN": token})

    def own(self, marker):
        me = self.api.call("GET", "/user")["id"]
        for note in self.api.pages(self.notes):
            if (note.get("author") or {}).get("id") == me and (note.get("body") or "").startswith(marker):
                yield note["id"], note["body"]

    def write(self, body):
        self.api.call("POST", self.notes, {"body": body})

    def edit(self, note, body):
        self.api.call("PUT", f"{self.notes}/{note}", {"body": body})

    def remove(self, note):
        self.api.call("DELETE", f"{self.notes}/{note}")


def number_of(env):
    """The pull request's number; none where the run is for something else."""
    try:
        with open(env.get("GITHUB_EVENT_PATH", ""), encoding="utf-8") as file:
            event = json.load(file)
        number = (event.get("pull_request") or {}).get("number")
    except (OSError, ValueError, AttributeError):
        number = None
    if number is None:
        found = re.fullmatch(r"refs/pull/(\d+)/\w+", env.get("GITHUB_REF", ""))
        number = found.group(1) if found else None
    return None if number is None else int(number)


def shortened(text, most, measure, rest):
    """The beginning of a text, cut where neither a block of code nor a folded part is open, with a word on the rest."""
    if measure(text) <= most:
        return text
    end = f"\n\n*It is longer than a comment may be; {rest}.*\n"
    room = most - measure(end)
    kept = used = position = depth = 0
    fence = None
    for line in text.splitlines(keepends=True):
        used += measure(line)
        if used > room:
            break
        position += len(line)
        bare = line.strip()
        found = re.match(r"`{3,}", bare)
        if fence is not None:
            if found and bare == found.group() and len(bare) >= len(fence):
                fence = None
        elif found:
            fence = found.group()
        else:
            depth += line.count("<details>") - line.count("</details>")
        if fence is None and depth == 0:
            kept = position
    return text[:kept].rstrip() + end


def summarise(env, text):
    """Into the job's summary, where there is one."""
    path = env.get("GITHUB_STEP_SUMMARY")
    if not path:
        return False
    measure = lambda part: len(part.encode())
    with open(path, "a", encoding="utf-8") as file:
        file.write(shortened(text, GITHUB_SUMMARY, measure, "`crossfade plan --format markdown` shows all of it") + "\n")
    return True


def request_of(env, token):
    """The request that the run is for; or why there is none to comment on."""
    if env.get("GITHUB_ACTIONS") == "true":
        if number_of(env) is None:
            return None, "this run is for no pull request"
        return (GitHub(env, token), None) if token else (None, "there is no token")
    if env.get("GITLAB_CI"):
        if not env.get("CI_MERGE_REQUEST_IID"):
            return None, "this job is for no merge request"
        return (GitLab(env, token), None) if token else (None, "there is no token: CROSSFADE_REVIEW_TOKEN")
    return None, "this is neither GitHub Actions nor GitLab CI"


def keep(request, marker, text):
    """One comment with this text. Returns what was done."""
    rest = "the job's summary or its log has all of it"
    body = marker + "\n" + shortened(text, request.most - len(marker) - 1, len, rest)
    found = list(request.own(marker))
    if not found:
        request.write(body)
        return "written"
    (first, old), *others = found
    for other, _ in others:
        request.remove(other)
    # Line ends come back as the service keeps them.
    if old.replace("\r\n", "\n").strip() == body.strip():
        return "as it was"
    request.edit(first, body)
    return "edited"


def main():
    arguments = argparse.ArgumentParser(description="Keeps Markdown files in one comment on a pull or merge request.")
    arguments.add_argument("files", nargs="+", metavar="FILE")
    arguments.add_argument("--name", default="crossfade", help="tells several comments of one request apart")
    arguments.add_argument("--summary-only", action="store_true", help="write the job's summary, and no comment")
    given = arguments.parse_args()
    if not re.fullmatch(r"[\w./ -]{1,60}", given.name) or "--" in given.name:
        arguments.error("--name takes letters, digits, spaces, . / _ and single -")
    parts = []
    for name in given.files:
        with open(name, encoding="utf-8") as file:
            parts.append(file.read().strip())
    text = "\n\n".join(parts) + "\n"
    env = os.environ
    token = env.get("CROSSFADE_REVIEW_TOKEN", "").strip()
    where = "it stands in the job's summary" if summarise(env, text) else "nothing was commented"
    if given.summary_only:
        return 0
    try:
        request, why = request_of(env, token)
        if request is None:
            print(f"no comment: {why}; {where}")
            return 0
        print(f"the comment is {keep(request, f'<!-- crossfade-review: {given.name} -->', text)}")
        return 0
    except (Refused, Failed) as error:
        # A service that repeats what it was sent must not bring the token into the log.
        said = str(error).replace(token, "***") if token else str(error)
        if isinstance(error, Refused):
            print(f"no comment: the token may not ({said}); {where}")
            return 0
        print(f"no comment: {said}; {where}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
