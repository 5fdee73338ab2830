#include "sandbox/keys.h"

#include <errno.h>
#include <string.h>

/* The byte of the key that TEXT begins with, and its length there; 0: it begins with none. */
static size_t take_key(const char *text, char *ret)
{
    static const char control[] = "ctrl-";
    const size_t prefix = sizeof(control) - 1;
    const char *letter = text + prefix;

    if (strncmp(text, control, prefix) != 0) {
        *ret = text[0];
        return text[0] > ' ' && text[0] < 0x7f && text[0] != ',' ? 1 : 0;
    }
    if ((letter[0] < 'a' || letter[0] > 'z') && (letter[0] < '@' || letter[0] > '_'))
        return 0;
    *ret = (char)(letter[0] & 0x1f);
    return prefix + 1;
}

int cl_keys_parse(const char *text, struct cl_keys *ret, struct cl_error *err)
{
    struct cl_keys keys = {0};
    const char *at = text;

    for (;;) {
        char key = 0;
        const size_t size = take_key(at, &key);

        if (size == 0 || (at[size] != ',' && at[size] != '\0'))
            return cl_refuse(err, EINVAL,
                             "expected keys with commas between them, like ctrl-p,ctrl-q; got "
                             "\"%.100s\"",
                             text);
        if (keys.count == CL_KEYS_MOST)
            return cl_refuse(err, E2BIG, "more than %d keys", CL_KEYS_MOST);
        keys.bytes[keys.count++] = key;
        if (at[size] == '\0')
            break;
        at += size + 1;
    }
    *ret = keys;
    return 0;
}

size_t cl_keys_filter(struct cl_keys *keys, char *data, size_t size, int *ret_typed)
{
    memmove(data + keys->held, data, size);
    memcpy(data, keys->bytes, keys->held);
    size += keys->held;
    keys->held = 0;
    *ret_typed = 0;
    for (size_t at = 0; at < size; at++) {
        const size_t left = size - at;
        const size_t compared = left < keys->count ? left : keys->count;

        if (memcmp(data + at, keys->bytes, compared) != 0)
            continue;
        *ret_typed = compared == keys->count;
        keys->held = *ret_typed ? 0 : compared;
        return at;
    }
    return size;
}
