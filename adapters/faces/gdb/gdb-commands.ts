// Commands for GDB itself, in the Python that it has inside: what `monitor` is asked, as commands of
// their own, and a line at each stop that says which capture it is. GDB keeps registers: a place is
// changed by writing to `$seq`, of which it knows.

export const GDB_COMMANDS = `# Commands of pageledger for GDB: a guest's recorded history.
import gdb

# What lies in memory is another at each capture.
gdb.execute("set stack-cache off")
gdb.execute("set code-cache off")


def monitor(words):
    return gdb.execute("monitor " + words, to_string=True)


def place():
    return int(gdb.parse_and_eval("(long)$seq"))


def go(capture):
    gdb.execute("set $seq = %d" % capture, to_string=True)


def address(text):
    words = gdb.string_to_argv(text)
    if not words:
        raise gdb.GdbError("an address was expected")
    value = int(gdb.parse_and_eval(words[0]).cast(gdb.lookup_type("unsigned long")))
    return " ".join(["0x%x" % (value & (2**64 - 1))] + words[1:])


class Asking(gdb.Command):
    def __init__(self, name, text, words, takes_address=False):
        self.__doc__ = text
        self.words = words
        self.takes_address = takes_address
        super().__init__(name, gdb.COMMAND_DATA)

    def invoke(self, text, from_tty):
        said = address(text) if self.takes_address else text
        gdb.write(monitor((self.words + " " + said).strip()))


Asking("captures", "The captures around the one that is looked at: captures [N]", "captures")
Asking("where-in-history", "Which capture is looked at, and whose registers these are.", "where")
Asking("last-change", "The capture in which bytes changed last: last-change ADDR [LEN]", "last-change", True)
Asking("who-wrote", "The same, whose page it was, and who ran on the CPUs: who-wrote ADDR [LEN]", "who-wrote", True)
Asking("find-bytes", "Where bytes stood, first and last: find-bytes 7370, find-bytes 'a text' (GDB's own find looks at this capture)", "find")
Asking("diff", "Pages, and bytes in them, that differ between two captures: diff 3 7", "diff")
Asking("history", "Every value that bytes had: history ADDR [LEN]", "values", True)
Asking("when", "The first capture from here on at which a predicate holds: when u64 SYMBOL+8 >= 16", "when")
Asking("guest-ps", "The processes of the guest here.", "ps")


class Goto(gdb.Command):
    """Go to a capture, or another point: goto 7, goto @7, goto latest, goto cp:NAME, goto ago:10m"""

    def __init__(self):
        super().__init__("goto", gdb.COMMAND_RUNNING)

    def invoke(self, text, from_tty):
        text = text.strip()
        number = text[1:] if text.startswith("@") else text
        before = place()
        if number.isdigit():
            go(int(number))
        else:
            said = monitor("goto " + text)
            if place() == before:
                gdb.write(said)
            gdb.execute("maintenance flush register-cache", to_string=True)
        if place() != before:
            shown(None)


class Attach(gdb.Command):
    """Whose addresses are meant from here on: attach PID, or cpu, kernel, physical"""

    def __init__(self):
        super().__init__("attach", gdb.COMMAND_RUNNING)

    def invoke(self, text, from_tty):
        gdb.write(monitor("attach " + text))
        gdb.execute("maintenance flush register-cache", to_string=True)


def shown(event):
    try:
        gdb.write(monitor("where").splitlines()[0] + "\\n")
    except (gdb.error, IndexError):
        pass


Goto()
Attach()
gdb.events.stop.connect(shown)
`;
