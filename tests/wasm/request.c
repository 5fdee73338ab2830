/* A component that speaks to the network: request get AUTHORITY PATH | socket | hoard.
 *
 * Its imports of WASI 0.2 are written here as the canonical ABI flattens them; tests/lib/
 * wasm_component.py gives it the world that they are of. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FROM(interface, function)                                                                  \
    __attribute__((import_module(interface WASI_VERSION), import_name(function)))
#define HTTP "wasi:http/types@"
#define HANDLER "wasi:http/outgoing-handler@"
#define POLL "wasi:io/poll@"
#define STREAMS "wasi:io/streams@"
#define TCP "wasi:sockets/tcp-create-socket@"

FROM(HTTP, "[constructor]fields") int32_t fields_new(void);
FROM(HTTP, "[constructor]outgoing-request") int32_t request_new(int32_t fields);
FROM(HTTP, "[method]outgoing-request.set-scheme")
int32_t set_scheme(int32_t request, int32_t has, int32_t kind, const char *other, size_t size);
FROM(HTTP, "[method]outgoing-request.set-authority")
int32_t set_authority(int32_t request, int32_t has, const char *text, size_t size);
FROM(HTTP, "[method]outgoing-request.set-path-with-query")
int32_t set_path(int32_t request, int32_t has, const char *text, size_t size);
FROM(HANDLER, "handle") void handle(int32_t request, int32_t has, int32_t options, uint8_t *ret);
FROM(HTTP, "[method]future-incoming-response.subscribe") int32_t subscribe(int32_t future);
FROM(HTTP, "[method]future-incoming-response.get") void get_response(int32_t future, uint8_t *ret);
FROM(HTTP, "[method]incoming-response.status") int32_t get_status(int32_t response);
FROM(HTTP, "[method]incoming-response.consume") void consume(int32_t response, uint8_t *ret);
FROM(HTTP, "[method]incoming-body.stream") void get_stream(int32_t body, uint8_t *ret);
FROM(POLL, "[method]pollable.block") void block(int32_t pollable);
FROM(STREAMS, "[method]input-stream.blocking-read")
void blocking_read(int32_t stream, int64_t size, uint8_t *ret);
FROM(TCP, "create-tcp-socket") void create_socket(int32_t family, uint8_t *ret);

static int32_t number_at(const uint8_t *place)
{
    int32_t number;

    memcpy(&number, place, sizeof(number));
    return number;
}

static int fail(const char *what, int code)
{
    printf("%s: error %d\n", what, code);
    return 1;
}

static int print_body(int32_t response)
{
    uint8_t ret[16];

    consume(response, ret);
    if (ret[0] != 0)
        return fail("consume", ret[4]);
    get_stream(number_at(ret + 4), ret);
    if (ret[0] != 0)
        return fail("stream", ret[4]);
    const int32_t stream = number_at(ret + 4);
    for (;;) {
        blocking_read(stream, 4096, ret);
        if (ret[0] != 0)
            return ret[4] == 1 ? 0 : fail("read", ret[4]);
        fwrite((const void *)(uintptr_t)number_at(ret + 4), 1, (size_t)number_at(ret + 8), stdout);
    }
}

static int get(const char *authority, const char *path)
{
    const int32_t request = request_new(fields_new());
    uint8_t ret[64] __attribute__((aligned(8)));

    if (set_scheme(request, 1, 0, "", 0) != 0 ||
        set_authority(request, 1, authority, strlen(authority)) != 0 ||
        set_path(request, 1, path, strlen(path)) != 0)
        return fail("request", 0);
    handle(request, 0, 0, ret);
    if (ret[0] != 0)
        return fail("handle", ret[8]);
    const int32_t future = number_at(ret + 8);
    block(subscribe(future));
    get_response(future, ret);
    if (ret[0] == 0 || ret[8] != 0 || ret[16] != 0)
        return fail("response", ret[24]);
    printf("%d\n", get_status(number_at(ret + 24)));
    return print_body(number_at(ret + 24));
}

static int make_socket(void)
{
    uint8_t ret[8];

    create_socket(0, ret);
    if (ret[0] != 0)
        return fail("socket", ret[4]);
    puts("a socket");
    return 0;
}

/* Things of the host's, as many as it gives. */
static int hoard(void)
{
    for (;;)
        (void)fields_new();
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "hoard") == 0)
        return hoard();
    if (argc == 4 && strcmp(argv[1], "get") == 0)
        return get(argv[2], argv[3]);
    return argc == 2 && strcmp(argv[1], "socket") == 0 ? make_socket() : 2;
}
