/* fuzz_variant.c - a property's value: any text is a value whose numbers fit its type and whose
 * texts lie within what was read, or is refused. */
#include "helpers/systemd/variant.h"

#include <errno.h>
#include <string.h>

#include "base/defs.h"
#include "base/utf8.h"

enum { TEXT_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, const char *begin)
{
    CL_ASSERT(text >= begin && text < begin + TEXT_MAX);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        const size_t bytes = cl_utf8_sequence(at);

        CL_ASSERT(bytes > 0);
        at += bytes;
    }
}

static void check_number(const struct cl_variant *variant, uint64_t number)
{
    static const struct {
        char type;
        uint64_t most;
    } bounds[] = {{'b', 1}, {'y', UINT8_MAX}, {'q', UINT16_MAX}, {'u', UINT32_MAX}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(bounds); i++)
        CL_ASSERT(variant->type != bounds[i].type || number <= bounds[i].most);
    if (variant->type == 'i')
        CL_ASSERT((int64_t)number >= INT32_MIN && (int64_t)number <= INT32_MAX);
    if (variant->type == 'n')
        CL_ASSERT((int64_t)number >= INT16_MIN && (int64_t)number <= INT16_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cl_variant variant;
    static char text[TEXT_MAX];
    char name[] = "TimeoutStopSec\0";

    if (size >= TEXT_MAX)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (cl_variant_parse(text, &variant) < 0)
        return 0;
    CL_ASSERT(variant.type != '\0' && strchr("bynqiuxtso", variant.type) != NULL);
    CL_ASSERT(variant.count <= CL_VARIANT_ITEMS && (variant.is_array || variant.count == 1));
    for (size_t i = 0; i < variant.count; i++) {
        if (variant.type == 's' || variant.type == 'o')
            check_text(variant.items[i].text, text);
        else
            check_number(&variant, variant.items[i].number);
    }
    const int r = cl_variant_of_seconds(name, &variant);
    CL_ASSERT(r == 1 || r == -EINVAL || r == -ERANGE);
    return 0;
}
