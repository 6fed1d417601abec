"""What words in a tool's name and description say about what it does.

The words are common English and common API vocabulary; no product's tools are listed. A clear
verb decides wherever it stands in a name. An unclear one is also a noun ("comment", "request"):
it decides only where it stands like a verb.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


READ = _words("""
    aggregate analyse analyze assess audit autocomplete browse calculate capture cat check
    classify compare compute convert count crawl debug decode decompile decrypt describe detect
    diagnose diff disassemble discover display echo embed encode enumerate estimate examine
    explain explore extract fetch filter find forecast format geocode get glob grep head identify
    infer inspect introspect investigate know learn lint list listen load locate lookup ls map
    match measure parse peek ping poll predict preview probe profile query rank read recall
    recommend reflect research retrieve retrieves return scan scrape search see show stat suggest
    summarise summarize surface tail think transcribe translate traverse validate verify view
    visualise visualize walk watch whoami
""")

WRITE = _words("""
    accept acknowledge add advance allocate alter append apply approve archive assign associate
    attach augment author bind blur bookmark bump categorise categorize change checkin chmod chown
    claim click clone close complete compose compress configure confirm copy cp create customise
    customize deactivate decline define demote deny deselect detach disable dismiss dispatch
    dissociate download downvote drag duplicate edit emulate enable encrypt enqueue enrol enroll
    enter escalate expire export extend favorite favourite fill finalise finalize finish fix flag
    focus follow forward grant handle hide highlight hover import increment ingest initialise
    initialize insert invite join leave like link lock make manage mark mkdir modify move mute mv
    notify onboard overwrite patch persist pin populate prepend press prioritise prioritize
    promote propose provision publish push put reactivate rebase rebook record recreate redeem
    reformat register reject relabel remember rename reopen reorder replace reply reschedule
    reserve resize resolve respond restore retarget revert reword rewrite rotate save scale
    schedule scroll seed send set setup shift sign sort split star stash store submit subscribe
    swipe tap toggle touch transition triage turn type unarchive unassign unblock undo unfollow
    unhide unlink unlock unmute unpin unpublish unstar unsubscribe unzip update upload upsert
    upvote vote warn whitelist write zip
""")

EXECUTE = _words("""
    abort benchmark bootstrap build call compile connect decompress delegate deploy disconnect do
    drive emit eval evaluate exec execute fuzz generate go goto install interact interpret
    interrupt invoke kickoff launch login logout migrate mount navigate open orchestrate pause
    perform play power print process quit reboot rebuild recompile redeploy refresh reindex reload
    render replay rerun restart resume retry rollback rollout run shell shutdown simulate skip
    sleep spawn start stop switch sync synchronise synchronize synthesise synthesize train
    transform trigger unmount upgrade use wait wake
""")

DESTRUCTIVE = _words("""
    cleanup clear del delete destroy discard drop empty erase evict expunge flush forget kick kill
    nuke obliterate prune purge remove reset revoke rm rmdir shred terminate trash truncate
    uninstall unregister wipe
""")

FINANCIAL = _words("""
    bill buy charge checkout debit deposit donate invoice pay payout purchase refund reimburse
    sell spend tip trade wire withdraw
""")
"""Verbs that move money; as nouns they are the money that is moved."""

MONEY = _words("""
    bill billing charge checkout debit invoice money payment payout payroll pricing purchase
    refund reimbursement remittance subscription
""")
"""Things that are money, a claim to it or a commitment to pay; whatever is done with them."""

MONEY_WHEN_CHANGED = _words("""
    balance cash credit deposit dividend donation escrow expense fund loan mortgage order salary
    stake trade transaction transfer wage wallet
""")
"""Things that can be money; only moving verbs below make them that."""

TRADED = MONEY_WHEN_CHANGED | _words("asset coin crypto currency eth nft stock token")
"""What a transfer or a swap moves when it moves money."""

MOVING = _words("""
    accept approve authorise authorize bridge cancel capture claim close confirm create deposit
    execute finalise finalize fund issue lend liquidate mint open pay place post process redeem
    release repay schedule send settle stake submit swap transfer void withdraw
""")
"""Verbs that move money when their object can be money."""

NEVER_MONEY = _words("""
    branch commit database db git menu migration page query repo sort sql tab table window
    workflow workspace
""")
"""Beside these words a transaction, an order or a transfer is no money."""

UNCLEAR: dict[str, str] = {
    **dict.fromkeys(_words("archive comment commit draft email fork label log mail merge message "
                           "note post react release reply request review share stage tag tweet "
                           "assign invite block mention rate report schedule"), "Write"),
    **dict.fromkeys(_words("test script command automate stream sample"), "Execute"),
    **dict.fromkeys(_words("monitor overview search view help track graph chart plot"), "Read"),
    **dict.fromkeys(_words("transfer swap order stake mint bid"), "Financial"),
    **dict.fromkeys(_words("ban"), "Destructive"),
}  # fmt: skip
"""Words that are verbs only where they stand like one."""

RUNNABLE = _words("""
    agent app automation backtest batch browser build command container deployment execution job
    page pipeline process program query recording run scan script service session simulation tab
    task test trace vm window worker workflow
""")
"""Things that run: opening, closing, selecting or cancelling one is Execute."""

CONTROLS = _words("cancel close new select switch")
"""Verbs that are Execute on something that runs, else Write."""

LOST_WHEN_RESET = _words("""
    account all branch cluster data database db device disk git history index repo repository
    schema state table volume workspace
""")
"""What `reset` takes away for good; reset anything else is Write."""

PICTURES = _words("heapsnapshot image photo picture screenshot snapshot thumbnail")
"""What `take` reads."""

READ_NOUNS = _words("""
    analysis analytics availability catalog catalogue changelog content contents context count
    definition definitions detail details diagnostics directions directory doc docs documentation
    event events example examples health help history id ids info information insight insights
    issues item items listing location log logs me metadata metric metrics names news outline
    overview permissions profile progress properties quota readme report reports result results
    schema score screenshot size snapshot statistics stats status structure summary template
    templates time timeline tree trends usage user users version versions weather
""")
"""Nouns that end the names of tools without a verb which only tell something."""

NAMED = _words("address dns domain host hostname id library name package path reference url")
"""What `resolve` looks up; anything else it settles."""

SHELLS = _words("bash cmd console powershell python repl sh shell terminal zsh")
"""Names that are a place where commands run."""

CODE_INPUTS = _words("bash cmd code command javascript js program python script shell sql")
"""Parameters through which a tool whose name says nothing would run what it is given."""
