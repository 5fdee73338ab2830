/* fake.h - types of the library that stands in WasmEdge's place, as one of FAKE_MINOR has them. */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <stdint.h>

#ifndef FAKE_MINOR
#define FAKE_MINOR 14
#endif
#ifndef FAKE_MAJOR
#define FAKE_MAJOR 0
#endif
#define API __attribute__((visibility("default")))
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

typedef unsigned __int128 wide;
#if FAKE_MINOR < 14
typedef int32_t type_t;
#else
typedef struct {
    uint8_t data[8];
} type_t;
#endif
typedef struct {
    wide bits;
    type_t type;
} value_t;
typedef struct {
    uint32_t code;
} result_t;
typedef struct {
    uint32_t size;
    const char *data;
} string_t;
typedef result_t host_t(void *data, const void *frame, const value_t *in, value_t *out);

extern int fake_log_is_off;

#endif
