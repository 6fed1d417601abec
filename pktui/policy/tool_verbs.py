"""What words in a tool's name and description say about what it does.

The words are common English and common API vocabulary; no product's tools are listed. A clear
verb decides wherever it stands in a name. An unclear one is also a noun ("comment", "request"):
it decides only where it stands like a verb.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


READ = _words("""
    aggregate analyse analyze ask assess audit autocomplete browse calculate capture check
    classify compare compute convert count crawl debug decode decompile decrypt describe detect
    diagnose diff disassemble discover embed encode enumerate estimate examine explain explore
    extract fetch find forecast geocode get glob grep identify infer inspect introspect
    investigate know learn lint list listen locate lookup ls parse ping poll predict preview probe
    query read recall recommend reflect rerank research retrieve retrieves return scan scrape
    search see show suggest summarise summarize surface think transcribe translate traverse
    validate verify view visualise visualize whoami
""")

WRITE = _words("""
    accept acknowledge add advance allocate alter append apply approve archive assign associate
    attach augment author blur bump categorise categorize change checkin chmod chown click clone
    close complete compose compress configure confirm copy cp create customise customize
    deactivate decline define demote deny deselect detach disable dismiss dispatch dissociate
    download downvote drag duplicate edit emulate enable encrypt enqueue enrol enroll enter
    escalate expire export extend favorite favourite fill finalise finalize finish forward grant
    handle hide hover import increment ingest initialise initialize insert invite join leave make
    manage mark mkdir modify move mute mv notify onboard overwrite persist populate prepend press
    prioritise prioritize promote propose provision publish push put reactivate rebase rebook
    recreate redeem reformat register reject relabel remember rename reopen reorder replace reply
    reschedule reserve resize resolve respond restore retarget revert reword rewrite rotate save
    scroll send set setup star submit subscribe toggle transition triage turn unarchive unassign
    unblock undo unfollow unhide unlink unlock unmute unpin unpublish unset unstar unsubscribe
    unzip update upload upsert upvote warn whitelist write zip
""")

EXECUTE = _words("""
    abort benchmark bootstrap build compile connect decompress delegate deploy disconnect do emit
    eval evaluate exec execute fuzz generate go goto install interact interpret interrupt invoke
    kickoff launch load login logout migrate mount navigate open orchestrate pause perform quit
    reboot rebuild recompile redeploy refresh reindex reload rerun restart resume retry rollback
    rollout run shutdown simulate skip spawn start stop switch sync synchronise synchronize
    synthesise synthesize transform trigger unmount upgrade wait wake
""")

DESTRUCTIVE = _words("""
    cleanup clear del delete destroy discard drop empty erase evict expunge flush forget kick kill
    nuke obliterate prune purge remove reset revoke rm rmdir shred terminate trash truncate
    uninstall unregister wipe
""")

# Verbs that move money; as nouns they are the money that is moved.
FINANCIAL = _words("""
    bill buy charge checkout debit deposit donate invoice liquidate pay payout purchase refund
    reimburse sell spend tip trade wire withdraw
""")

# Things that are money, a claim to it or a commitment to pay; whatever is done with them.
MONEY = _words("""
    bill billing charge checkout debit invoice money payment payout payroll pricing purchase
    refund reimbursement remittance subscription
""")

# Things that can be money; only moving verbs below make them that.
MONEY_WHEN_CHANGED = _words("""
    balance cash credit deposit dividend donation escrow expense fund loan mortgage order salary
    stake trade transaction transfer wage wallet
""")

# What a transfer or a swap moves when it moves money.
TRADED = MONEY_WHEN_CHANGED | _words("asset coin crypto currency eth nft stock token")

# Verbs that move money when their object can be money.
MOVING = _words("""
    accept approve authorise authorize bridge cancel capture claim close confirm create deposit
    execute finalise finalize fund issue lend liquidate mint open pay place post process redeem
    release repay schedule send settle stake submit swap transfer void withdraw
""")

# Beside these words a transaction, an order or a transfer is no money.
NEVER_MONEY = _words("""
    branch commit database db git menu migration page query repo sort sql tab table window
    workflow workspace
""")

# Words that are verbs only where they stand like one.
UNCLEAR: dict[str, str] = {
    **dict.fromkeys(
        _words("""
    archive assign bind block bookmark claim comment commit draft email fix flag focus
        follow fork highlight invite label like link lock log mail mention merge message
        note patch pin post rate react record release reply report request review scale
        schedule seed share shift sign sort split stage stash store swipe tag tap touch
        tweet type vote
        """),
        "Write",
    ),
    **dict.fromkeys(
        _words("""
    automate call command play power print process render replay sample script shell
        sleep stream test train use
        """),
        "Execute",
    ),
    **dict.fromkeys(
        _words("""
    cat chart display echo filter format graph head help map match measure monitor
        overview peek plot profile rank search stat tail track view walk watch
        """),
        "Read",
    ),
    **dict.fromkeys(_words("bid mint order stake swap transfer"), "Financial"),
    **dict.fromkeys(_words("ban"), "Destructive"),
}

# Reading verbs that are also things; before one of the verbs below they are the thing.
NAMING_READS = _words("""
    check feed filter list map monitor poll probe profile query read report research scan search
    test trace view watch
""")

# Changing verbs that, at the end of a name, can only be its verb (`list_delete`).
NEVER_NOUNS = _words("""
    add apply archive cancel clear create delete destroy disable drop edit enable execute insert
    invoke modify move publish remove rename run save send start stop trigger update upsert write
""")

# Things that run: opening, closing, selecting or cancelling one is Execute.
RUNNABLE = _words("""
    agent app automation backtest batch browser build command container deployment execution job
    page pipeline process program query recording run scan script service session simulation tab
    task test trace vm window worker workflow
""")

# Verbs that are Execute on something that runs, else Write.
CONTROLS = _words("cancel close new select switch")

# What `open` acts on where it is Execute, beside things that run.
PLACES = _words("""
    bookmark browser chrome door editor file folder link page port shell site terminal tunnel url
    website
""")

# What `open` adds or brings back.
CASES = _words(
    "account case discussion position incident issue merge pr pull request thread ticket"
)

# What `start` begins to write, whatever noun follows (`start_logging_session`).
RECORDS = _words("chat conversation diary journal log logging note record timer transcript")

# Verbs that say themselves that something else is there afterwards.
REPLACING = _words("change edit modify patch rename set update")

# Parameters that only pick out what is there.
SELECTING_INPUTS = _words("id ids key keys name names node nodes title titles uri uris")

# What `reset` takes away for good; reset anything else is Write.
LOST_WHEN_RESET = _words("""
    account all branch cluster data database db device disk git history index repo repository
    schema state table volume workspace
""")

# What `take` reads.
PICTURES = _words("heapsnapshot image photo picture screenshot snapshot thumbnail")

# Nouns that end the names of tools without a verb which only tell something.
READ_NOUNS = _words("""
    analysis analytics availability catalog catalogue changelog content contents context count
    definition definitions detail details diagnostics directions directory doc docs documentation
    event events example examples health help history id ids info information insight insights
    issues item items listing location log logs me metadata metric metrics names news outline
    overview permissions profile progress properties quota readme report reports result results
    schema score screenshot size snapshot statistics stats status structure summary template
    templates time timeline tree trends usage user users version versions weather
""")

# What `resolve` looks up; anything else it settles.
NAMED = _words("address dns domain host hostname id library name package path reference url")

# Names that are a place where commands run.
SHELLS = _words("bash cmd console powershell python repl sh shell terminal zsh")

# Parameters through which a tool whose name says nothing would run what it is given.
CODE_INPUTS = _words("bash cmd code command javascript js program python script shell sql")
