"""`pktui knowledge`: add, search, get, update, delete, list and count entries."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from pktui.cli import backends, output
from pktui.cli.commands import Argument, Option, group
from pktui.cli.sessions import Limit, ModeOption, Words  # noqa: TC001  read as annotations
from pktui.errors import UsageError
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.memory.records import Entry

_RELATIONS = {"repeats": "repeats it", "may contradict": "may contradict it", "near": "is near"}

knowledge_app = group()

EntryId = Annotated[int, Argument(metavar="ENTRY", min=1, help="The entry's number.")]
Tags = Annotated[list[str] | None, Option("--tag", help="A tag; give it more than once.")]
Source = Annotated[str | None, Option(help="Where it is from, such as a URL.")]
Content = Annotated[str | None, Argument(help="The text; - or nothing: standard input.")]


@knowledge_app.verb()
def add(
    title: Annotated[str, Argument(help="A short title.")],
    content: Content = None,
    source: Source = None,
    tag: Tags = None,
    json: output.JsonFlag = False,
) -> None:
    """Keep a new entry."""
    text = _text(content)
    with backends.memory() as memory:
        entry = memory.add_entry(title, text, source=source or "", tags=tag or ())
        near = memory.similar_entries(entry.id) if not json else ()
    _done(entry, f"Entry {entry.id} is kept.", json=json)
    for one in near:
        output.note(f'Entry {one.id} {_RELATIONS[one.relation]}: "{one_line(one.title, 60)}"')


@knowledge_app.verb()
def similar(entry: EntryId, limit: Limit = 20, json: output.JsonFlag = False) -> None:
    """List the entries that are near to one: those that repeat it and may contradict it."""
    with backends.memory() as memory:
        found = memory.similar_entries(entry, limit=limit)
    if json:
        output.json(found)
        return
    rows = [(str(one.id), f"{one.score:.2f}", one.relation, one.title) for one in found]
    output.table(("id", "score", "relation", "title"), rows, empty="No entry is near to it.")


@knowledge_app.verb()
def search(
    query: Words = None,
    mode: ModeOption = "hybrid",
    limit: Limit = 20,
    json: output.JsonFlag = False,
) -> None:
    """Find entries by meaning, by words, by both (hybrid), or exactly as they stand."""
    with backends.memory() as memory:
        answer = memory.search_entries(" ".join(query or ()), mode, limit=limit)
    if json:
        output.json(answer)
        return
    rows = [
        (str(hit.entry.id), f"{hit.score:.2f}", hit.entry.title, hit.snippet)
        for hit in answer.hits
        if hit.entry
    ]
    output.table(("id", "score", "title", "text"), rows, empty="Nothing found.")
    output.note(f"{len(rows)} of {answer.total}, by {answer.mode}")
    if answer.note:
        output.note(answer.note)


@knowledge_app.verb()
def get(entry: EntryId, json: output.JsonFlag = False) -> None:
    """Show an entry."""
    with backends.memory() as memory:
        found = memory.get_entry(entry)
    if json:
        output.json(found)
        return
    output.facts(
        [
            ("entry", f"{found.id}  {found.title}"),
            ("tags", ", ".join(found.tags)),
            ("source", found.source),
            ("created", output.moment(found.created_at)),
            ("updated", output.moment(found.updated_at)),
        ]
    )
    output.line()
    output.line(found.content)


@knowledge_app.verb()
def update(
    entry: EntryId,
    title: Annotated[str | None, Option(help="A new title.")] = None,
    content: Annotated[
        str | None, Option(help="A new text; - takes it from standard input.")
    ] = None,
    source: Source = None,
    tag: Tags = None,
    json: output.JsonFlag = False,
) -> None:
    """Change what is given and leave the rest; tags replace all there were."""
    if (title, content, source, tag) == (None, None, None, None):
        raise UsageError(
            "nothing to change was given", "Give --title, --content, --source or --tag"
        )
    text = None if content is None else _text(content)
    with backends.memory() as memory:
        found = memory.update_entry(entry, title=title, content=text, source=source, tags=tag)
    _done(found, f"Entry {entry} is changed.", json=json)


@knowledge_app.verb()
def delete(
    entry: EntryId,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Remove an entry, for good."""
    with backends.memory() as memory:
        found = memory.get_entry(entry)
        title = one_line(found.title, 60)
        output.confirm(f'Remove entry {entry} "{title}" for good?', yes=yes)
        memory.delete_entry(entry)
    _done(found, f"Entry {entry} is gone.", json=json)


@knowledge_app.verb("list")
def list_(
    tag: Tags = None,
    cursor: Annotated[str | None, Option(help="Where the list before this one ended.")] = None,
    limit: Limit = 50,
    json: output.JsonFlag = False,
) -> None:
    """List entries, the latest change first; with tags, those that have one of them."""
    with backends.memory() as memory:
        page = memory.entries(tags=tag or (), cursor=cursor, limit=limit)
    if json:
        output.json(page)
        return
    rows = [
        (str(e.id), output.moment(e.updated_at), ", ".join(e.tags), e.title) for e in page.items
    ]
    output.table(("id", "updated", "tags", "title"), rows, empty="No knowledge.")
    if page.cursor:
        output.note(f"{len(rows)} of {page.total}; the next ones: --cursor {page.cursor}")


@knowledge_app.verb()
def stats(json: output.JsonFlag = False) -> None:
    """Show figures about all entries."""
    with backends.memory() as memory:
        found = memory.stats()
    if json:
        output.json(found)
        return
    output.facts(
        [
            ("entries", str(found.total)),
            ("without vectors", str(found.pending_vectors)),
            ("sources", str(found.sources)),
            ("oldest", output.moment(found.oldest)),
            ("newest", output.moment(found.newest)),
            ("tags", ", ".join(f"{one.tag} ({one.entries})" for one in found.tags[:10])),
        ]
    )


def _text(content: str | None) -> str:
    return sys.stdin.read() if content in (None, "-") else content


def _done(entry: Entry, words: str, *, json: bool) -> None:
    if json:
        output.json(entry)
    else:
        output.note(words)
