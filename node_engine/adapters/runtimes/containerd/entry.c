/* The first program of an instance that gets secrets as environment variables.
 *
 * What containerd is told, it writes to disk; so those variables are not in the container's spec but in a file on a
 * file system in memory. This program adds them to its environment and becomes the instance's own command: the rest of
 * its arguments. It needs nothing of the image, so it is linked to no library. scripts/entry builds it.
 */

#define FILE_NAME "/.hedgerow/environment"
#define MAX_FILE_BYTES (2 * 1024 * 1024)
#define MAX_VARIABLES 64
#define MAX_PATH 4096
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#define NOT_FOUND 127 /* what a shell answers with */
#define NOT_RUN 126

#define ENOENT 2
#define EACCES 13
#define ENOTDIR 20

typedef unsigned long size;

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, EXECVE = 59, EXIT = 60, OPENAT = 257 };

__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call begin\n");

static long call(long number, long a, long b, long c, long d) {
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
enum { OPENAT = 56, CLOSE = 57, READ = 63, WRITE = 64, EXIT = 93, EXECVE = 221 };

__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl begin\n");

static long call(long number, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#else
#error "no system calls are known for this architecture"
#endif

static char file[MAX_FILE_BYTES + 1];
static char candidate[MAX_PATH];

static size length(const char *text) {
    size n = 0;
    while (text[n]) n++;
    return n;
}

static void say(const char *text) { call(WRITE, 2, (long)text, (long)length(text), 0); }

static void fail(const char *what, const char *which, int code) {
    say("hedgerow: ");
    say(what);
    say(which);
    say("\n");
    for (;;) call(EXIT, code, 0, 0, 0);
}

/* Whether both are of the same variable: the same letters up to an equals sign. */
static int is_same_name(const char *a, const char *b) {
    while (*a == *b && *a && *a != '=') a++, b++;
    return *a == '=' && *b == '=';
}

static const char *value_of(char **environment, const char *name) {
    for (; *environment; environment++)
        if (is_same_name(*environment, name)) return *environment + length(name);
    return DEFAULT_PATH;
}

static size read_file(void) {
    long descriptor = call(OPENAT, -100, (long)FILE_NAME, 02000000, 0); /* O_RDONLY | O_CLOEXEC */
    size filled = 0;
    if (descriptor < 0) fail("cannot read ", FILE_NAME, NOT_RUN);
    for (;;) {
        long count = call(READ, descriptor, (long)(file + filled), (long)(MAX_FILE_BYTES - filled), 0);
        if (count < 0) fail("cannot read ", FILE_NAME, NOT_RUN);
        if (count == 0) break;
        filled += (size)count;
    }
    call(CLOSE, descriptor, 0, 0, 0);
    return filled;
}

/* The first of a directory list and the name, into `candidate`; the rest of the list, or 0 at its end. */
static const char *join(const char *list, const char *name) {
    size n = 0;
    while (*list && *list != ':' && n < MAX_PATH - 2) candidate[n++] = *list++;
    while (*list && *list != ':') list++;
    if (n == 0) candidate[n++] = '.';
    candidate[n++] = '/';
    while (*name && n < MAX_PATH - 1) candidate[n++] = *name++;
    candidate[n] = 0;
    return *list == ':' ? list + 1 : 0;
}

static void run(char **arguments, char **environment) {
    const char *name = arguments[0], *list = value_of(environment, "PATH="), *at;
    int has_slash = 0, code = NOT_FOUND;
    for (at = name; *at; at++) has_slash |= *at == '/';
    if (has_slash) {
        long error = -call(EXECVE, (long)name, (long)arguments, (long)environment, 0);
        fail("cannot run ", name, error == ENOENT || error == ENOTDIR ? NOT_FOUND : NOT_RUN);
    }
    while (list) {
        long error;
        list = join(list, name);
        error = -call(EXECVE, (long)candidate, (long)arguments, (long)environment, 0);
        if (error != ENOENT && error != ENOTDIR) code = NOT_RUN;
        if (error != ENOENT && error != ENOTDIR && error != EACCES) break;
    }
    fail("cannot run ", name, code);
}

__attribute__((noreturn, used)) void begin(long *stack) {
    long count = stack[0];
    char **arguments = (char **)(stack + 1), **environment = arguments + count + 1, **each;
    char *added[MAX_VARIABLES];
    size variables = 0, inherited = 0, kept = 0, filled, at, n;
    if (count < 2) fail("no command", "", NOT_RUN);
    filled = read_file();
    for (at = 0; at < filled; at += length(file + at) + 1) {
        if (variables == MAX_VARIABLES) fail("too many variables in ", FILE_NAME, NOT_RUN);
        added[variables++] = file + at;
    }
    for (each = environment; *each; each++) inherited++;
    {
        char *merged[inherited + variables + 1];
        for (each = environment; *each; each++) {
            int is_overridden = 0;
            for (n = 0; n < variables; n++) is_overridden |= is_same_name(*each, added[n]);
            if (!is_overridden) merged[kept++] = *each;
        }
        for (n = 0; n < variables; n++) merged[kept++] = added[n];
        merged[kept] = 0;
        run(arguments + 1, merged);
    }
    __builtin_unreachable();
}
