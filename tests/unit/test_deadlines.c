/* test_deadlines.c - the heap of deadlines against a plain list of them. */
#include <errno.h>

#include "base/fault.h"
#include "check.h"
#include "worker/deadlines.h"

enum { MOST = 300 };

/* The heap, and all that may be in it. */
struct both {
    struct cl_deadlines heap;
    struct cl_deadline all[MOST];
    uint64_t random;
};

static void make(struct both *both)
{
    memset(both, 0, sizeof(*both));
    CHECK(cl_deadlines_init(&both->heap, MOST) == 0);
    both->random = 0x243f6a8885a308d3ULL; /* each time the same */
}

static uint64_t draw(struct both *both, uint64_t below)
{
    both->random ^= both->random << 13;
    both->random ^= both->random >> 7;
    both->random ^= both->random << 17;
    return both->random % below;
}

/* Where each is is known to it, and none is later than what is above it. */
static void check_order(const struct both *both)
{
    const struct cl_deadlines *heap = &both->heap;
    size_t in = 0;

    for (size_t i = 0; i < MOST; i++) {
        const struct cl_deadline *one = &both->all[i];

        if (one->place == 0)
            continue;
        in++;
        CHECK(one->place <= heap->count && heap->heap[one->place] == one);
        CHECK(one->place == 1 || heap->heap[one->place / 2]->at_ns <= one->at_ns);
    }
    CHECK(in == heap->count);
}

/* The earliest by looking at all; UINT64_MAX: none. */
static uint64_t earliest(const struct both *both)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < MOST; i++)
        if (both->all[i].place != 0 && both->all[i].at_ns < least)
            least = both->all[i].at_ns;
    return least;
}

static void check_first(const struct both *both)
{
    const struct cl_deadline *first = cl_deadlines_first(&both->heap);

    CHECK((first == NULL) == (both->heap.count == 0));
    CHECK(first == NULL || first->at_ns == earliest(both));
}

static void change_one(struct both *both, uint64_t moments)
{
    struct cl_deadline *one = &both->all[draw(both, MOST)];

    if (one->place != 0) {
        cl_deadlines_remove(&both->heap, one);
        CHECK(one->place == 0);
        return;
    }
    one->at_ns = draw(both, moments);
    cl_deadlines_add(&both->heap, one);
    CHECK(one->place != 0);
}

/* MOMENTS: few, so that many are the same, or many. */
static void change_many(uint64_t moments)
{
    struct both both;

    make(&both);
    for (int i = 0; i < 20000; i++) {
        change_one(&both, moments);
        check_first(&both);
        if (i % 16 == 0)
            check_order(&both);
    }
    for (uint64_t last = 0; both.heap.count > 0;) {
        struct cl_deadline *first = cl_deadlines_first(&both.heap);

        CHECK(first->at_ns >= last);
        last = first->at_ns;
        cl_deadlines_remove(&both.heap, first);
    }
    check_order(&both);
    cl_deadlines_done(&both.heap);
}

TEST(the_first_is_the_earliest_whatever_comes_and_goes)
{
    change_many(UINT64_MAX);
    change_many(1000);
}

TEST(many_may_be_at_one_moment)
{
    change_many(3);
    change_many(1);
}

/* IS_DOWN: each earlier than those that are there; else later. */
static void fill(struct both *both, int is_down)
{
    make(both);
    for (size_t i = 0; i < MOST; i++) {
        both->all[i].at_ns = is_down ? MOST - i : i + 1;
        cl_deadlines_add(&both->heap, &both->all[i]);
        check_first(both);
    }
    check_order(both);
}

TEST(it_holds_as_many_as_was_said)
{
    struct both both;

    for (int is_down = 0; is_down < 2; is_down++) {
        fill(&both, is_down);
        for (size_t i = 0; i < MOST; i++) { /* from the middle, outwards */
            const size_t middle = MOST / 2;

            cl_deadlines_remove(&both.heap,
                                &both.all[i % 2 == 0 ? middle + i / 2 : middle - 1 - i / 2]);
            check_order(&both);
            check_first(&both);
        }
        CHECK(cl_deadlines_first(&both.heap) == NULL);
        cl_deadlines_done(&both.heap);
    }
}

TEST(what_is_not_in_it_is_removed_for_nothing)
{
    struct both both;

    make(&both);
    cl_deadlines_remove(&both.heap, &both.all[0]);
    CHECK(both.heap.count == 0 && cl_deadlines_first(&both.heap) == NULL);
    cl_deadlines_add(&both.heap, &both.all[1]);
    cl_deadlines_remove(&both.heap, &both.all[0]);
    CHECK(cl_deadlines_first(&both.heap) == &both.all[1]);
    cl_deadlines_remove(&both.heap, &both.all[1]);
    cl_deadlines_remove(&both.heap, &both.all[1]);
    CHECK(both.heap.count == 0);
    cl_deadlines_done(&both.heap);
}

TEST(without_memory_there_is_none)
{
    struct cl_deadlines heap;

    cl_fault_set("alloc:1");
    CHECK(cl_deadlines_init(&heap, MOST) == -ENOMEM && cl_fault_struck());
    cl_fault_set(NULL);
    cl_deadlines_done(&heap);
    CHECK(cl_deadlines_init(&heap, 0) == 0 && cl_deadlines_first(&heap) == NULL);
    cl_deadlines_done(&heap);
    cl_deadlines_done(&heap); /* twice is fine */
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_first_is_the_earliest_whatever_comes_and_goes),
        ROW(many_may_be_at_one_moment),
        ROW(it_holds_as_many_as_was_said),
        ROW(what_is_not_in_it_is_removed_for_nothing),
        ROW(without_memory_there_is_none),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
