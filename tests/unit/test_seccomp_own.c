/*
 * The filters of our own processes, against what they are promised and what they need.
 * Prints TAP.
 */
#include "filter_scene.h"

static void test_supervisor(void)
{
    static const uint32_t may[] = {0,   1,   3, 7,   13,  14,  15,  46,  47,  61,  42,
                                   231, 234, 8, 257, 263, 217, 286, 288, 434, 316, 74};
    static const uint32_t never[] = {2,   43,  49,  50,  53,  54,  56,  57,  59,  101,
                                     157, 165, 272, 308, 317, 319, 321, 322, 425, 435};
    static const struct call rows[] = {
        {"a file mapped", {9, 222}, {0, 1, 1, 2}, KILL},
        {"made executable", {10, 226}, {0, 1, 5 | RUBBISH}, KILL},
        {"TIOCSWINSZ", {16, 29}, {0, 0x5414}, ALLOW},
        {"TIOCSTI", {16, 29}, {0, 0x5412 | RUBBISH}, KILL},
        {"unix seqpacket", {41, 198}, {1, 5 | 02000000 | 04000}, ALLOW},
        {"unix stream", {41, 198}, {1, 1}, KILL},
        {"inet seqpacket", {41, 198}, {2, 5}, KILL},
        {"SO_PEERCRED", {55, 209}, {3, 1, 17}, ALLOW},
        {"SO_ERROR", {55, 209}, {3, 1, 4}, KILL},
        {"another level's 17", {55, 209}, {3, 6, 17}, KILL},
    };

    for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++)
        expect("supervisor may", "supervisor", ALLOW, (struct data){.nr = may[i], .arch = X86_64});
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        expect("supervisor dies", "supervisor", KILL,
               (struct data){.nr = never[i], .arch = X86_64});
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_both(&rows[i], "supervisor");
    }
}

/* It waits, and tells once that it does. */
static void test_holder(void)
{
    static const uint32_t may[] = {3, 7, 15, 44, 45, 60, 219, 231, 271};
    static const uint32_t never[] = {0,  1,   2,   9,   10,  41,  42,  46,  47,  56,  57,  59, 61,
                                     62, 101, 157, 165, 257, 272, 308, 317, 321, 322, 425, 435};

    for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++)
        expect("holder may", "holder", ALLOW, (struct data){.nr = may[i], .arch = X86_64});
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        expect("holder dies", "holder", KILL, (struct data){.nr = never[i], .arch = X86_64});
    expect("holder may: ppoll", "holder", ALLOW, (struct data){.nr = 73, .arch = AARCH64});
    expect("holder dies: openat", "holder", KILL, (struct data){.nr = 56, .arch = AARCH64});
    expect("holder dies: i386", "holder", KILL, (struct data){.nr = 3, .arch = I386});
}

/* What is here is allowed to init whatever the user's profile says; the rest is for that. */
static void test_init(void)
{
    static const uint32_t may[] = {0,   1,   3,   5,   7,   11,  12,  13,  14, 15,
                                   17,  28,  46,  47,  60,  61,  62,  80,  95, 112,
                                   117, 119, 126, 202, 219, 228, 231, 292, 436};
    static const uint32_t next[] = {2,   41,  42,  53,  54,  55,  57,  59,  101, 105, 133, 155,
                                    165, 272, 308, 310, 311, 319, 321, 322, 425, 435, 437};
    static const struct call rows[] = {
        {"anonymous memory", {9, 222}, {0, 1, 3, 0x22}, ALLOW},
        {"executable memory", {9, 222}, {0, 1, 7, 0x22}, NEXT},
        {"a file mapped", {9, 222}, {0, 1, 1, 2}, NEXT},
        {"made executable", {10, 226}, {0, 1, 5 | RUBBISH}, NEXT},
        {"a birth", {56, 220}, {0x4111}, ALLOW},
        {"a thread", {56, 220}, {0x3d0f00}, NEXT},
        {"a birth in a user namespace", {56, 220}, {0x10004111}, NEXT},
        {"open", {257, 56}, {0, 0, 02000002}, ALLOW},
        {"open a new file", {257, 56}, {0, 0, 0102, 04755}, NEXT},
        {"O_TMPFILE", {257, 56}, {0, 0, 020200002, 04755}, NEXT},
        {"own limits", {302, 261}, {0, 4, 1}, ALLOW},
        {"another's limits", {302, 261}, {2, 4, 1}, NEXT},
        {"PR_SET_DUMPABLE", {157, 167}, {4}, ALLOW},
        {"PR_SET_SECUREBITS", {157, 167}, {28}, NEXT},
        {"PR_SET_SECCOMP", {157, 167}, {22}, NEXT},
        {"a filter", {317, 277}, {1, 0}, ALLOW},
        {"a filter with a listener", {317, 277}, {1, 8}, NEXT},
        {"a filter for all threads", {317, 277}, {1, 1}, NEXT},
        {"strict mode", {317, 277}, {0, 0}, NEXT},
        {"F_SETFD", {72, 25}, {3, 2}, ALLOW},
        {"F_GET_SEALS", {72, 25}, {3, 1034}, ALLOW},
        {"F_DUPFD", {72, 25}, {3, 0}, NEXT},
        {"TIOCSCTTY", {16, 29}, {0, 0x540e}, ALLOW},
        {"TIOCGPTPEER", {16, 29}, {0, 0x5441}, ALLOW},
        {"TIOCSTI", {16, 29}, {0, 0x5412}, NEXT},
    };

    for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++)
        expect("init may", "init", ALLOW, (struct data){.nr = may[i], .arch = X86_64});
    for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++)
        expect("init may if the command may", "init", NEXT,
               (struct data){.nr = next[i], .arch = X86_64});
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_both(&rows[i], "init");
    }
}

/* Init has the command's filter where that is ours, and the steps of main and of newborns
 * come after it: what they ask there. */
static void test_steps(const char *program)
{
    static const struct call rows[] = {
        {"the birth", {56, 220}, {0x4111}, ALLOW},
        {"capset", {126, 91}, {0}, ALLOW},
        {"setsid", {112, 157}, {0}, ALLOW},
        {"TIOCSCTTY", {16, 29}, {0, 0x540e}, ALLOW},
        {"TIOCSPTLCK", {16, 29}, {0, 0x40045431}, ALLOW},
        {"TIOCGPTPEER", {16, 29}, {0, 0x5441}, ALLOW},
        {"TIOCSWINSZ", {16, 29}, {0, 0x5414}, ALLOW},
        {"dup3", {292, 24}, {5, 0}, ALLOW},
        {"F_SETFD", {72, 25}, {0, 2}, ALLOW},
        {"F_GET_SEALS", {72, 25}, {0, 1034}, ALLOW},
        {"close_range", {436, 436}, {3}, ALLOW},
        {"RLIMIT_NOFILE", {302, 261}, {0, 7, 1}, ALLOW},
        {"setresgid", {119, 149}, {1}, ALLOW},
        {"setresuid", {117, 147}, {1}, ALLOW},
        {"PR_SET_DUMPABLE", {157, 167}, {4}, ALLOW},
        {"chdir", {80, 49}, {0}, ALLOW},
        {"openat", {257, 56}, {0, 0, 0400002}, ALLOW},
        {"kill", {62, 129}, {2, 9}, ALLOW},
        {"wait4", {61, 260}, {0}, ALLOW},
        {"signalfd4", {289, 74}, {0}, ALLOW},
        {"sched_setaffinity", {203, 122}, {1}, ALLOW},
        {"recvmsg", {47, 212}, {3}, ALLOW},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_both(&rows[i], program);
    }
}

/* A worker whose guests have broken it: PROGRAM lets it do no more than it did. */
static void test_worker(const char *program)
{
    static const uint32_t may[][2] = {
        {0, 63},   {1, 64},    {3, 57},   {5, 80},    {8, 62},    {19, 65},  {47, 212},
        {46, 211}, {48, 210},  {263, 35}, {228, 113}, {230, 115}, {231, 94}, {271, 73},
        {217, 61}, {318, 278}, {13, 134}, {15, 139},  {319, 279},
    };
    static const uint32_t never[][2] = {
        {41, 198},  {42, 203},  {43, 202},  {49, 200},  {50, 201},  {53, 199},  {54, 208},
        {56, 220},  {435, 435}, {59, 221},  {322, 281}, {101, 117}, {310, 270}, {311, 271},
        {157, 167}, {317, 277}, {165, 40},  {166, 39},  {155, 41},  {161, 51},  {272, 97},
        {308, 268}, {321, 280}, {282, 74},  {323, 282}, {425, 425}, {426, 426}, {427, 427},
        {303, 264}, {304, 265}, {434, 434}, {438, 438}, {437, 437}, {91, 52},   {268, 53},
        {93, 55},   {260, 54},  {188, 5},   {250, 219}, {248, 217}, {29, 194},  {30, 196},
        {68, 186},  {105, 146}, {113, 145}, {125, 90},  {206, 0},   {222, 107}, {291, 20},
        {283, 85},  {290, 19},  {253, 26},  {298, 241}, {302, 261}, {428, 428}, {430, 430},
        {442, 442}, {203, 122}, {40, 71},   {275, 76},  {276, 77},  {278, 75},  {259, 33},
        {99, 179},  {63, 160},  {80, 49},
    };
    static const uint32_t zygotes[][2] = {{61, 260},  {424, 424}, {444, 444}, {446, 446},
                                          {117, 147}, {122, 151}, {126, 91}};
    const int is_zygote = strcmp(program, "worker_zygote") == 0;
    static const struct call rows[] = {
        {"anonymous memory", {9, 222}, {0, 1, 3, 0x22}, ALLOW},
        {"its protection", {10, 226}, {0, 1, 1}, ALLOW},
        {"an end by a trap", {62, 129}, {1, 6}, ALLOW},
        {"a panic", {234, 131}, {1, 1, 6}, ALLOW},
        {"a kill", {62, 129}, {1, 9}, KILL},
        {"a kill of all", {62, 129}, {0xffffffff, 15 | RUBBISH}, KILL},
        {"a thread's kill", {234, 131}, {1, 1, 9}, KILL},
        {"is it a terminal", {16, 29}, {0, 0x5401}, ALLOW},
        {"FIONREAD", {16, 29}, {0, 0x541b}, ALLOW},
        {"TIOCSTI", {16, 29}, {0, 0x5412}, KILL},
        {"TIOCSTI beside rubbish", {16, 29}, {0, 0x5412 | RUBBISH}, KILL},
        {"an ioctl of a file system", {16, 29}, {0, 0x40086602}, KILL},
        {"open", {257, 56}, {3, 0, 0400000}, ALLOW},
        {"open a new file", {257, 56}, {3, 0, 0102, 0644}, ALLOW},
        {"open a new set-uid file", {257, 56}, {3, 0, 0102, 04755}, ERR(EPERM)},
        {"open a new set-gid file", {257, 56}, {3, 0, 0102, 02755 | RUBBISH}, ERR(EPERM)},
        {"O_TMPFILE", {257, 56}, {3, 0, 020200002, 04755}, ERR(EPERM)},
    };

    for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++)
        expect_both(&(struct call){"a worker may", {may[i][0], may[i][1]}, {0}, ALLOW}, program);
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        expect_both(&(struct call){"a worker dies", {never[i][0], never[i][1]}, {0}, KILL},
                    program);
    for (size_t i = 0; i < sizeof(zygotes) / sizeof(zygotes[0]); i++)
        expect_both(
            &(struct call){
                "a zygote's", {zygotes[i][0], zygotes[i][1]}, {0}, is_zygote ? ALLOW : KILL},
            program);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_both(&rows[i], program);
    expect("a foreign ABI", program, KILL, (struct data){.nr = 3, .arch = I386});
    expect("a foreign ABI", program, KILL, (struct data){.nr = 3, .arch = ARM});
    expect("x32", program, KILL, (struct data){.nr = 0x40000000, .arch = X86_64});
}

/* ONE has all of its code before its guest begins; MANY maps more, and wait for many at once. */
static void test_workers_differ(void)
{
    static const struct call rows[] = {
        {"executable memory", {9, 222}, {0, 1, 7 | RUBBISH, 0x22}, ALLOW},
        {"a compiled module mapped", {9, 222}, {0, 1, 5, 2}, ALLOW},
        {"made executable", {10, 226}, {0, 1, 5}, ALLOW},
        {"epoll_ctl", {233, 21}, {5, 1, 6}, ALLOW},
        {"epoll_pwait2", {441, 441}, {5}, ALLOW},
        {"setitimer", {38, 103}, {0}, ALLOW},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct call of_one = rows[i];

        of_one.answer = KILL;
        expect_both(&of_one, "worker");
        expect_both(&rows[i], "worker_many");
    }
}

/* The one that forks its guests, and nothing else that makes a process or a namespace. */
static void test_zygote(void)
{
    static const struct call rows[] = {
        {"a fork with a pidfd", {56, 220}, {0x1011 | RUBBISH, 0}, ALLOW},
        {"its end", {61, 260}, {5, 0, 1}, ALLOW},
        {"its pause", {424, 424}, {5, 19}, ALLOW},
        {"its line", {293, 59}, {0, 02004000}, ALLOW},
        {"what it closes", {436, 436}, {3, 9}, ALLOW},
        {"parent-death signal", {157, 167}, {1, 9}, ALLOW},
        {"a Landlock domain", {446, 446}, {5, 0}, ALLOW},
        {"a filter", {317, 277}, {1, 0, 1}, ALLOW},
    };
    static const struct call killed[] = {
        {"a thread", {56, 220}, {0x3d0f00, 0}, KILL},
        {"a user namespace", {56, 220}, {0x10001011, 0}, KILL},
        {"vfork's way", {56, 220}, {0x4111, 0}, KILL},
        {"dumpable", {157, 167}, {4, 1}, KILL},
        {"a listener", {317, 277}, {1, 8, 1}, KILL},
        {"setitimer", {38, 103}, {0}, KILL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct call of_child = rows[i];

        of_child.answer = KILL;
        expect_both(&of_child, "worker");
        expect_both(&rows[i], "worker_zygote");
    }
    for (size_t i = 0; i < sizeof(killed) / sizeof(killed[0]); i++)
        expect_both(&killed[i], "worker_zygote");
}

/* Of both the loop; sockets only where there is a network. */
static void test_workers_of_components(void)
{
    static const struct call both[] = {
        {"epoll_ctl", {233, 21}, {5, 1, 6}, ALLOW},
        {"epoll_pwait", {281, 22}, {5}, ALLOW},
        {"epoll_pwait2", {441, 441}, {5}, KILL},
        {"openat2", {437, 437}, {3}, ERR(ENOSYS)},
        {"adding to a file", {328, 287}, {3, 1, 1, 0, 0, 0x10}, ALLOW},
        {"another pwritev2", {328, 287}, {3, 1, 1, 0, 0, 2}, ERR(ENOSYS)},
        {"TIOCGWINSZ", {16, 29}, {0, 0x5413}, ALLOW},
        {"TIOCSWINSZ", {16, 29}, {0, 0x5414}, KILL},
        {"setitimer", {38, 103}, {0}, KILL},
        {"a process", {56, 220}, {17}, KILL},
        {"a process beside rubbish", {56, 220}, {17 | RUBBISH}, KILL},
        {"a thread", {56, 220}, {0x3d0f00}, KILL},
        {"a thread by clone3", {435, 435}, {1, 88}, KILL},
        {"its name", {157, 167}, {15}, KILL},
    };
    static const struct call differ[] = {
        {"TCP", {41, 198}, {2, 02000001, 6}, ALLOW},
        {"UDP by IPv6", {41, 198}, {10, 2, 0}, ALLOW},
        {"a Unix socket", {41, 198}, {1, 1, 0}, ERR(EACCES)},
        {"netlink", {41, 198}, {16, 3, 0}, ERR(EACCES)},
        {"raw packets", {41, 198}, {2, 3, 1}, ERR(EACCES)},
        {"connect", {42, 203}, {5}, ALLOW},
        {"bind", {49, 200}, {5}, ALLOW},
        {"setsockopt", {54, 208}, {5, 1, 2}, ALLOW},
        {"executable memory", {9, 222}, {0, 1, 7 | RUBBISH, 0x22}, ERR(EPERM)},
        {"made executable", {10, 226}, {0, 1, 5}, ERR(EPERM)},
        {"FIONBIO", {16, 29}, {0, 0x5421}, ALLOW},
    };

    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
        expect_both(&both[i], "worker_component");
        expect_both(&both[i], "worker_component_net");
    }
    for (size_t i = 0; i < sizeof(differ) / sizeof(differ[0]); i++) {
        struct call without = differ[i];

        without.answer = KILL;
        expect_both(&without, "worker_component");
        expect_both(&differ[i], "worker_component_net");
    }
}

int main(void)
{
    test_worker("worker");
    test_worker("worker_many");
    test_worker("worker_zygote");
    test_zygote();
    test_workers_of_components();
    test_workers_differ();
    test_supervisor();
    test_holder();
    test_init();
    test_steps("strict");
    test_steps("build");
    printf("1..%u\n", n_tests);
    return n_failed ? 1 : 0;
}
