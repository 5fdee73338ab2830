/* fuzz_archive.c - tar archives: any bytes make a sorted list of members that lie within them,
 * or an error with the archive's name in front. A header's sum is made right before it is
 * read, where the input's first byte asks for it: no fuzzer finds sums. */
#include <sys/mman.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/image/archive.h"
#include "image_input.h"

enum { BLOCK = 512, SUM_AT = 148, SUM_SIZE = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend_sum(char *block)
{
    static const char digits[] = "01234567";
    unsigned int sum = 0;

    memset(block + SUM_AT, ' ', SUM_SIZE);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)block[i];
    for (size_t i = 0; sum > 0 && i < BLOCK; i++) /* zeros stay the end */
        if (block[i] != '\0' && (i < SUM_AT || i >= SUM_AT + SUM_SIZE)) {
            for (size_t digit = 6; digit-- > 0; sum >>= 3)
                block[SUM_AT + digit] = digits[sum & 7];
            return;
        }
    memset(block + SUM_AT, '\0', SUM_SIZE);
}

static void check_members(const struct cl_archive_record *record, size_t size)
{
    for (size_t i = 0; i < record->members.count; i++) {
        const struct cl_archive_member *member = &record->members.items[i];

        CL_ASSERT(member->offset_bytes <= size &&
                  member->size_bytes <= size - member->offset_bytes);
        CL_ASSERT(member->name[0] != '/' && member->name[0] != '\0');
        CL_ASSERT(strstr(member->name, "../") != member->name);
        CL_ASSERT(i == 0 || strcmp(record->members.items[i - 1].name, member->name) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf tar = CL_BUF_INIT(1 << 20);
    CL_CLEANUP_FD int fd = cl_sys_memfd_create("tar", MFD_CLOEXEC);
    struct cl_archive_record record = {.set = 0};
    struct cl_archive_record back = {.set = 0};
    struct cl_error err = {0};

    if (fd < 0 || size == 0 || cl_buf_add(&tar, data + 1, size - 1) < 0)
        return 0;
    for (size_t at = 0; (data[0] & 1) != 0 && at + BLOCK <= tar.size; at += BLOCK)
        mend_sum(tar.data + at);
    if (tar.size > 0 && cl_write_all(fd, tar.data, tar.size) < 0)
        return 0;
    if (cl_archive_list(fd, "d", &arena, &record, &err) < 0) {
        check_error(&err);
        return 0;
    }
    check_members(&record, tar.size);
    check_record(&cl_archive_shape, &record, &back, &arena);
    return 0;
}
