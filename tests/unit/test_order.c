/* test_order.c - a client's messages: what is an order and what is none, and that nothing beyond a
 * message is looked at. */
#include <errno.h>
#include <sys/mman.h>

#include "base/fault.h"
#include "check.h"
#include "worker/order.h"

enum { PAGE = 4096, ROOM = CL_ORDER_MAX_BYTES + PAGE };

static const struct cl_order no_order;
static const struct cl_order_run no_run;

/* Room that ends where nothing can be read. */
static char *end_of_room(void)
{
    static char *end;

    if (end == NULL) {
        char *at =
            mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        CL_ASSERT(at != MAP_FAILED && mprotect(at + ROOM, PAGE, PROT_NONE) == 0);
        end = at + ROOM;
    }
    return end;
}

/* DATA at the end of the room. An order is aligned, so that up to seven bytes may lie behind it:
 * NULs, which would be strings if somebody counted them. */
static void *place(const void *data, size_t size)
{
    const size_t slack = -size % _Alignof(struct cl_order);
    char *at = end_of_room() - slack - size;

    memset(at + size, 0, slack);
    memcpy(at, data, size);
    return at;
}

struct taken {
    const struct cl_order *order;
    const struct cl_order_run *run;
    struct cl_error err;
};

/* Takes DATA; what is refused must say so in full, and give nothing. */
static int take(const void *data, size_t size, struct taken *ret)
{
    *ret = (struct taken){.order = &no_order, .run = &no_run};
    int r = cl_order_take(place(data, size), size, &ret->order, &ret->run, &ret->err);

    if (r < 0) {
        CHECK(r == -EPROTO && ret->err.code == EPROTO && ret->err.msg[0] != '\0');
        CHECK(ret->order == &no_order && ret->run == &no_run);
    }
    return r;
}

static int refused(const void *data, size_t size, const char *why)
{
    struct taken taken;

    if (take(data, size, &taken) == 0)
        return 0;
    CHECK_HAS(taken.err.msg, why);
    return 1;
}

/* A RUN with the bytes of STRINGS behind it, in room that the next one takes. */
static const char *run_of(const struct cl_order_run *how, const char *strings, size_t size)
{
    static char message[ROOM];
    struct cl_order_run run = *how;

    run.order = (struct cl_order){.version = CL_WORKER_VERSION, .kind = CL_ORDER_RUN, .guest = 7};
    memcpy(message, &run, sizeof(run));
    memcpy(message + sizeof(run), strings, size);
    return message;
}

/* --- orders -------------------------------------------------------------------------------- */

TEST(each_kind_is_taken)
{
    for (uint32_t kind = CL_ORDER_END; kind <= CL_ORDER_TELL; kind++) {
        const struct cl_order order = {CL_WORKER_VERSION, kind, UINT64_MAX};
        struct taken taken;

        CHECK(take(&order, sizeof(order), &taken) == 0);
        CHECK(taken.order->kind == kind && taken.order->guest == UINT64_MAX && taken.run == NULL);
    }
}

TEST(an_order_has_its_size)
{
    const struct cl_order orders[2] = {{CL_WORKER_VERSION, CL_ORDER_TELL, 1}};

    for (size_t size = 0; size < sizeof(orders[0]); size++)
        CHECK(refused(orders, size, "no order for this version"));
    for (size_t size = sizeof(orders[0]) + 1; size <= sizeof(orders); size++)
        CHECK(refused(orders, size, "bytes more than it should"));
}

TEST(an_order_is_of_this_version)
{
    static const uint32_t versions[] = {0, CL_WORKER_VERSION - 1, CL_WORKER_VERSION + 1, UINT32_MAX,
                                        CL_WORKER_VERSION << 24};

    for (size_t i = 0; i < CL_ARRAY_SIZE(versions); i++) {
        const struct cl_order order = {versions[i], CL_ORDER_TELL, 1};

        CHECK(refused(&order, sizeof(order), "this version"));
    }
}

TEST(what_has_no_kind_is_none)
{
    static const uint32_t kinds[] = {0, CL_ORDER_TELL + 1, 1U << 31, UINT32_MAX};

    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        const struct cl_order order = {CL_WORKER_VERSION, kinds[i], 1};

        CHECK(refused(&order, sizeof(order), "no order of kind"));
    }
}

/* --- to run -------------------------------------------------------------------------------- */

TEST(what_is_to_run_is_taken)
{
    static const char strings[] = "program\0-v\0A=1"; /* and the array's own NUL */
    const struct cl_order_run how = {
        .memory_bytes = UINT64_MAX, .streams = 7, .arguments = 2, .environment = 1};
    const char *message = run_of(&how, strings, sizeof(strings));
    struct taken taken;

    CHECK(take(message, sizeof(how) + sizeof(strings), &taken) == 0);
    CHECK(taken.order == &taken.run->order && taken.order->guest == 7);
    CHECK(taken.run->memory_bytes == UINT64_MAX && taken.run->streams == 7);
}

TEST(what_is_to_run_has_its_size)
{
    const struct cl_order_run nothing = {0};
    const char *message = run_of(&nothing, "x", 1);
    struct taken taken;

    for (size_t size = sizeof(struct cl_order); size < sizeof(nothing); size++)
        CHECK(refused(message, size, "no room for what it says"));
    CHECK(take(message, sizeof(nothing), &taken) == 0 && taken.run != NULL);
    CHECK(refused(message, sizeof(nothing) + 1, "not as many as it says"));
}

TEST(there_are_three_streams)
{
    static const uint32_t bad[] = {8, 15, 1U << 31, UINT32_MAX};
    struct taken taken;

    for (uint32_t streams = 0; streams < 8; streams++) {
        const struct cl_order_run how = {.streams = streams};

        CHECK(take(run_of(&how, "", 0), sizeof(how), &taken) == 0);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        const struct cl_order_run how = {.streams = bad[i]};

        CHECK(refused(run_of(&how, "", 0), sizeof(how), "streams"));
    }
}

/* --- strings ------------------------------------------------------------------------------- */

/* All that SIZE bytes of NULs and others can be, with all counts near theirs. */
static void try_strings(unsigned int bits, size_t size)
{
    char strings[8];
    uint32_t nuls = 0;
    struct taken taken;

    for (size_t i = 0; i < size; i++) {
        strings[i] = (bits & 1U << i) != 0 ? 'x' : '\0';
        nuls += strings[i] == '\0';
    }
    const int is_whole = size == 0 || strings[size - 1] == '\0';
    for (uint32_t arguments = 0; arguments <= nuls + 1; arguments++)
        for (uint32_t environment = 0; environment <= nuls + 1; environment++) {
            const struct cl_order_run how = {.arguments = arguments, .environment = environment};
            const int r = take(run_of(&how, strings, size), sizeof(how) + size, &taken);

            CHECK((r == 0) == (is_whole && arguments + environment == nuls));
        }
}

TEST(strings_are_as_many_as_was_said)
{
    for (size_t size = 0; size <= 6; size++)
        for (unsigned int bits = 0; bits < 1U << size; bits++)
            try_strings(bits, size);
}

TEST(counts_do_not_wrap)
{
    static const uint32_t counts[][2] = {
        {UINT32_MAX, 2},      {2, UINT32_MAX},        {UINT32_MAX, UINT32_MAX},
        {1U << 31, 1U << 31}, {UINT32_MAX, 1U << 31}, {0, UINT32_MAX},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(counts); i++) {
        const struct cl_order_run how = {.arguments = counts[i][0], .environment = counts[i][1]};

        CHECK(refused(run_of(&how, "a", 2), sizeof(how) + 2, "not as many"));
        CHECK(refused(run_of(&how, "", 0), sizeof(how), "not as many"));
    }
}

/* LISTS are those of WANTED, where NULL ends a list: two of them. */
static void check_lists(const char **lists, const char *const *wanted)
{
    CHECK(lists != NULL);
    for (int ended = 0; lists != NULL && ended < 2; lists++, wanted++) {
        CHECK((*lists == NULL) == (*wanted == NULL));
        if (*lists != NULL && *wanted != NULL)
            CHECK_TEXT(*lists, *wanted);
        ended += *wanted == NULL;
    }
}

static void try_lists(uint32_t arguments, uint32_t environment, const char *const *wanted)
{
    static const char strings[] = "one\0\0three is long"; /* three, with the last NUL */
    const struct cl_order_run how = {.arguments = arguments, .environment = environment};
    const size_t size = sizeof(how) + (arguments + environment == 0 ? 0 : sizeof(strings));
    struct taken taken;

    CHECK(take(run_of(&how, strings, sizeof(strings)), size, &taken) == 0);
    const char **lists = cl_order_strings(taken.run, size);
    check_lists(lists, wanted);
    free(lists);
}

TEST(strings_become_two_lists)
{
    try_lists(3, 0, (const char *const[]){"one", "", "three is long", NULL, NULL});
    try_lists(2, 1, (const char *const[]){"one", "", NULL, "three is long", NULL});
    try_lists(0, 3, (const char *const[]){NULL, "one", "", "three is long", NULL});
    try_lists(0, 0, (const char *const[]){NULL, NULL});
}

TEST(the_largest_order_has_the_most_strings)
{
    static const char nothing[CL_ORDER_MAX_BYTES];
    const uint32_t most = CL_ORDER_MAX_BYTES - sizeof(struct cl_order_run);
    const struct cl_order_run how = {.arguments = most - 1, .environment = 1};
    struct taken taken;

    CHECK(take(run_of(&how, nothing, most), CL_ORDER_MAX_BYTES, &taken) == 0);
    const char **lists = cl_order_strings(taken.run, CL_ORDER_MAX_BYTES);
    CL_ASSERT(lists != NULL);
    CHECK(lists[0] == (const char *)(taken.run + 1));
    CHECK(lists[most - 2] == lists[0] + most - 2 && lists[most - 1] == NULL);
    CHECK(lists[most] == lists[0] + most - 1 && lists[most + 1] == NULL);
    free(lists);
}

TEST(without_memory_there_are_no_lists)
{
    const struct cl_order_run how = {.arguments = 1};
    struct taken taken;

    CHECK(take(run_of(&how, "a", 2), sizeof(how) + 2, &taken) == 0);
    cl_fault_set("alloc:1");
    CHECK(cl_order_strings(taken.run, sizeof(how) + 2) == NULL && cl_fault_struck());
    cl_fault_set(NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_kind_is_taken),
        ROW(an_order_has_its_size),
        ROW(an_order_is_of_this_version),
        ROW(what_has_no_kind_is_none),
        ROW(what_is_to_run_is_taken),
        ROW(what_is_to_run_has_its_size),
        ROW(there_are_three_streams),
        ROW(strings_are_as_many_as_was_said),
        ROW(counts_do_not_wrap),
        ROW(strings_become_two_lists),
        ROW(the_largest_order_has_the_most_strings),
        ROW(without_memory_there_are_no_lists),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
