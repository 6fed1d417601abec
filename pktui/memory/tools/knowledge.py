"""The eight tools on knowledge. Headings and wording are those of the reference server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pktui.errors import NotFound
from pktui.memory.search.filters import ENTRY_KEYS
from pktui.memory.tools.answer import ToolAnswer, refusal
from pktui.memory.tools.wording import closing, given, more, percent, preview, time
from pktui.query import as_words

if TYPE_CHECKING:
    from pktui.memory.records import Entry, Hit, Identity, Mode, SearchAnswer
    from pktui.memory.store import Store
    from pktui.memory.tools.arguments import Arguments

MOST_RESULTS = 100
MOST_LISTED = 1000
TOP_TAGS = 10
_MOST_NEAR = 3
_NEAR_CURE = (
    "Where one of them says the same or is no longer true, keep one: change it with "
    "update_knowledge or remove it with delete_knowledge."
)
_INDEXED = "Found by its words now, by its meaning in a moment"


def store(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`store_knowledge`."""
    entry = memory.add_entry(
        arguments.text("title"),
        arguments.text("content"),
        source=arguments.optional_text("source") or "",
        tags=arguments.optional_texts("tags") or (),
        request=arguments.request,
    )
    near = memory.similar_entries(entry.id, limit=_MOST_NEAR)
    text = (
        f'✅ Stored knowledge entry #{entry.id}: "{preview(entry.title)}"\n'
        "📊 Indexed for semantic search in a moment"
    )
    if near:
        lines = [
            f'- #{one.id} "{preview(one.title)}" ({one.relation}, {percent(one.score)}% similar)'
            for one in near
        ]
        text += "\n\n" + "\n".join(["⚠️ Entries that are like it:", *lines, _NEAR_CURE])
    return ToolAnswer(
        text,
        {
            "id": entry.id,
            "title": preview(entry.title),
            "createdAt": time(entry.created_at),
            "indexed": _INDEXED,
            **given(
                similar=[
                    {
                        "id": one.id,
                        "title": preview(one.title),
                        "relation": one.relation,
                        "score": round(one.score, 4),
                    }
                    for one in near
                ]
                or None,
                more=_NEAR_CURE if near else None,
            ),
        },
    )


def search(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`search_knowledge`."""
    limit = min(arguments.number("limit"), MOST_RESULTS)
    answer = memory.search_entries(
        as_words(arguments.text("query"), ENTRY_KEYS),
        "hybrid",
        limit=limit,
        waited=arguments.waited,
    )
    left = more(len(answer.hits), answer.total, "raise limit or ask more precisely")
    parts = [f"## Found {len(answer.hits)} similar entries:\n\n"]
    for place, (hit, entry) in enumerate(_found(answer), 1):
        parts.append(f"### {place}. {preview(entry.title)} ({percent(hit.score)}% similar)\n")
        parts.append(f"**ID:** {entry.id}\n")
        if entry.tags:
            parts.append(f"**Tags:** {', '.join(entry.tags)}\n")
        parts.append(f"\n{hit.snippet}\n\n---\n\n")
    if not answer.hits:
        parts = ["No similar knowledge entries found.\n\n"]
    return ToolAnswer(
        "".join(parts) + closing(answer, left),
        _results(answer, left),
        awaits_meaning=answer.awaits_meaning,
    )


def search_text(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`search_knowledge_text`: by words, and where they are in no entry by the text as it is."""
    query = arguments.text("query")
    limit = min(arguments.number("limit"), MOST_RESULTS)
    answer = _by_words(memory, query, limit)
    left = more(len(answer.hits), answer.total, "raise limit or ask more precisely")
    blocks = [
        f"**{preview(entry.title)}** (ID: {entry.id})\n{hit.snippet}"
        + (f"\nTags: {', '.join(entry.tags)}" if entry.tags else "")
        for hit, entry in _found(answer)
    ]
    heading = (
        f'Found {len(blocks)} result(s) for "{preview(query)}":\n\n'
        if blocks
        else f'No results found for: "{preview(query)}"'
    )
    body = "\n\n---\n\n".join(blocks)
    text = f"{heading}{body}\n\n{closing(answer, left)}"
    return ToolAnswer(text, _results(answer, left))


def get(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`get_knowledge`: whole, because it was asked for by its id."""
    try:
        entry = memory.entry(arguments.number("id"))
    except NotFound:
        return _missing(arguments)
    head = [
        f"# {entry.title}\n",
        f"**ID:** {entry.id}",
        f"**Created:** {time(entry.created_at)}",
        f"**Updated:** {time(entry.updated_at)}",
    ]
    if entry.source:
        head.append(f"**Source:** {entry.source}")
    if entry.tags:
        head.append(f"**Tags:** {', '.join(entry.tags)}")
    text = "\n".join(head) + f"\n\n---\n\n{entry.content}"
    return ToolAnswer(text, {**_entry(entry), "content": entry.content})


def update(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`update_knowledge`."""
    if not any(arguments.has(name) for name in ("title", "content", "source", "tags")):
        return refusal("No updates provided. Give at least one of title, content, source and tags.")
    try:
        entry = memory.update_entry(
            arguments.number("id"),
            title=arguments.optional_text("title"),
            content=arguments.optional_text("content"),
            source=arguments.optional_text("source"),
            tags=arguments.optional_texts("tags"),
        )
    except NotFound:
        return _missing(arguments)
    return ToolAnswer(
        f"✅ Updated entry #{entry.id}\n📊 Re-indexed for semantic search in a moment",
        {
            "id": entry.id,
            "title": preview(entry.title),
            "updatedAt": time(entry.updated_at),
            "indexed": _INDEXED,
        },
    )


def delete(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`delete_knowledge`."""
    number = arguments.number("id")
    try:
        memory.delete_entry(number, request=arguments.request)
    except NotFound:
        return _missing(arguments)
    return ToolAnswer(f"✅ Deleted entry #{number}", {"id": number, "deleted": True})


def list_(memory: Store, _who: Identity, arguments: Arguments) -> ToolAnswer:
    """`list_knowledge`."""
    offset = arguments.number("offset")
    page = memory.entries(
        tags=arguments.optional_texts("tags") or (),
        limit=min(arguments.number("limit"), MOST_LISTED),
        offset=offset,
    )
    shown = offset + len(page.items)
    left = more(shown, page.total, f"call again with offset {shown}") if page.items else ""
    lines = [
        f"- **{preview(entry.title)}** (ID: {entry.id})"
        + (f" [{', '.join(entry.tags)}]" if entry.tags else "")
        for entry in page.items
    ]
    text = "No knowledge entries found." + (f" There are {page.total}." if page.total else "")
    if lines:
        text = "\n".join([f"📚 Knowledge Entries ({len(lines)}):\n", *lines])
    entries = [
        {
            "id": entry.id,
            "title": preview(entry.title),
            "tags": list(entry.tags),
            "updatedAt": time(entry.updated_at),
        }
        for entry in page.items
    ]
    structured = {"entries": entries, "total": page.total, **given(more=left)}
    return ToolAnswer(f"{text}\n\n{left}" if left else text, structured)


def stats(memory: Store, _who: Identity, _arguments: Arguments) -> ToolAnswer:
    """`get_knowledge_stats`."""
    figures = memory.entry_stats()
    indexed = figures.total - figures.pending_vectors
    oldest = time(figures.oldest) if figures.oldest else None
    newest = time(figures.newest) if figures.newest else None
    tags = figures.tags[:TOP_TAGS]
    tag_lines = "\n".join(f"  {one.tag}: {one.entries}" for one in tags) or "  No tags yet"
    waiting = f" ({figures.pending_vectors} pending)" if figures.pending_vectors else ""
    text = (
        "## Personal Knowledge Base Stats\n\n"
        f"**Total Entries:** {figures.total}\n"
        f"**Vectors Indexed:** {indexed}{waiting}\n\n"
        f"**Date Range:**\n  Oldest: {oldest or 'N/A'}\n  Newest: {newest or 'N/A'}\n\n"
        f"**Top Tags:**\n{tag_lines}"
    )
    structured = {
        "totalEntries": figures.total,
        "vectorsIndexed": indexed,
        "pendingVectors": figures.pending_vectors,
        "topTags": [{"tag": one.tag, "count": one.entries} for one in tags],
        **given(oldest=oldest, newest=newest),
    }
    return ToolAnswer(text, structured)


def _by_words(memory: Store, query: str, limit: int) -> SearchAnswer:
    answer = memory.search_entries(as_words(query, ENTRY_KEYS), "words", limit=limit)
    if answer.hits or '"' in query:
        return answer
    exact: Mode = "exact"
    return memory.search_entries(f'"{query}"', exact, limit=limit)


def _found(answer: SearchAnswer) -> list[tuple[Hit, Entry]]:
    return [(hit, hit.entry) for hit in answer.hits if hit.entry is not None]


def _results(answer: SearchAnswer, left: str) -> dict[str, Any]:
    results = [
        {
            **_entry(entry),
            "title": preview(entry.title),
            "score": round(hit.score, 4),
            "snippet": hit.snippet,
        }
        for hit, entry in _found(answer)
    ]
    return {
        "results": results,
        "total": answer.total,
        "mode": answer.mode,
        **given(note=answer.note, more=left),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "title": entry.title,
        "tags": list(entry.tags),
        "createdAt": time(entry.created_at),
        "updatedAt": time(entry.updated_at),
        **given(source=entry.source),
    }


def _missing(arguments: Arguments) -> ToolAnswer:
    number = arguments.number("id")
    return refusal(
        f"No entry found with ID: {number}. Call list_knowledge or search_knowledge to see the ids."
    )
