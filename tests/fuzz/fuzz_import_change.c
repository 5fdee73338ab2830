/* fuzz_import_change.c - import's --change, dates and first bytes of archives: any text is refused
 * in one line, or changes the plan to what a config and a launch record can hold. */
#include <string.h>

#include "base/date.h"
#include "base/utf8.h"
#include "cmd/cloister/import_change.h"
#include "oci/compression.h"
#include "plan/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    for (size_t step = 0; *text != '\0'; text += step) {
        step = cl_utf8_sequence((const unsigned char *)text);
        CL_ASSERT(step > 0);
    }
}

static void check_list(const struct cl_strlist *list)
{
    for (size_t i = 0; i < list->count; i++)
        check_text(list->items[i]);
}

static void try_change(const char *text)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(4 << 20);
    CL_CLEANUP_BUF struct cl_buf flat = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    if (cl_import_change(text, &arena, &plan, &err) < 0) {
        CL_ASSERT(err.code > 0 && err.msg[0] != '\0' && strchr(err.msg, '\n') == NULL);
        return;
    }
    check_list(&plan.command);
    check_list(&plan.entrypoint);
    check_list(&plan.env);
    if (plan.command.count > 0)
        CL_ASSERT(plan.command.items[0][0] != '\0');
    for (size_t i = 0; i < plan.env.count; i++)
        CL_ASSERT(strchr(plan.env.items[i], '=') > plan.env.items[i]);
    CL_ASSERT(plan.workdir == NULL || plan.workdir[0] == '/');
    CL_ASSERT(plan.stop_signal <= 64);
    CL_ASSERT(cl_plan_write(&plan, &flat, &err) == 0);
}

static void try_date(const char *text)
{
    char ago[CL_DATE_AGO_SIZE];
    int64_t seconds = 0;

    if (cl_date_parse(text, &seconds) < 0)
        return;
    CL_ASSERT(seconds >= -62135683200 && seconds <= 253402387200); /* a day to each side */
    CL_ASSERT(strlen(cl_date_ago(1700000000, seconds, ago)) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);

    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    try_change(cl_buf_text(&text));
    try_date(cl_buf_text(&text));
    const struct cl_compression_guess *guess = cl_compression_guess(data, size);
    CL_ASSERT((guess->program == NULL) == (guess->compression == CL_COMPRESSION_NONE));
    return 0;
}
