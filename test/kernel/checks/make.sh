# A compile: make trusts modification times, and the linker maps and rewrites its output.
. guest/lib.sh
cd "$MNT"
python3 - <<'END'
names = [f"unit{i}" for i in range(8)]
for i, name in enumerate(names):
    with open(f"{name}.c", "w") as file:
        header = "even.h" if i % 2 == 0 else "odd.h"
        file.write(f'#include "{header}"\nint {name}(void) {{ return BASE + {i}; }}\n')
for header, base in ("even.h", 100), ("odd.h", 1000):
    with open(header, "w") as file:
        file.write(f"#define BASE {base}\n")
with open("main.c", "w") as file:
    file.write("#include <stdio.h>\n" + "".join(f"int {name}(void);\n" for name in names))
    file.write('int main(void) { printf("%d\\n", ' + " + ".join(f"{name}()" for name in names) + "); }\n")
with open("Makefile", "w") as file:
    file.write(
        "OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))\n"
        "program: libunits.a main.o\n\t$(CC) -o $@ main.o libunits.a\n"
        "libunits.a: $(filter-out main.o,$(OBJECTS))\n\t$(AR) rcs $@ $?\n"
        "%.o: %.c\n\t$(CC) -O1 -MMD -c $<\n"
        "-include *.d\n"
    )
END

# what the last make has compiled
compiled() { grep -o '[a-z0-9]*\.c$' /tmp/make.log | sort | xargs; }

make -j 2 >/tmp/make.log
same "compiled at first" "$(compiled)" "main.c unit0.c unit1.c unit2.c unit3.c unit4.c unit5.c unit6.c unit7.c"
same "what the program says" "$(./program)" 4428
make >/tmp/make.log
same "a second make" "$(cat /tmp/make.log)" "make: 'program' is up to date."

touch unit3.c
make >/tmp/make.log
same "compiled after a touch" "$(compiled)" unit3.c
echo '#define BASE 200' >even.h
make >/tmp/make.log
same "compiled after a change to a header" "$(compiled)" "unit0.c unit2.c unit4.c unit6.c"
same "what the new program says" "$(./program)" 4828
same "what it says to the peer" "$("$PEER/program")" 4828
make >/tmp/make.log
same "a last make" "$(cat /tmp/make.log)" "make: 'program' is up to date."
