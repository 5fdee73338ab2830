/* The part of the fake that is about versions, values and results. */
#include "fake.h"

API const char *WasmEdge_VersionGet(void)
{
    return TEXT(FAKE_MAJOR) "." TEXT(FAKE_MINOR) ".1-fake";
}

API uint32_t WasmEdge_VersionGetMajor(void)
{
    return FAKE_MAJOR;
}

API uint32_t WasmEdge_VersionGetMinor(void)
{
    return FAKE_MINOR;
}

API void WasmEdge_LogOff(void)
{
    fake_log_is_off = 1;
}

#if FAKE_MINOR >= 14
API type_t WasmEdge_ValTypeGenI32(void)
{
    return (type_t){{0, 0, 0x7f}};
}

API type_t WasmEdge_ValTypeGenI64(void)
{
    return (type_t){{0, 0, 0x7e}};
}
#endif

API value_t WasmEdge_ValueGenI32(const int32_t number)
{
    return (value_t){.bits = (uint32_t)number};
}

API int32_t WasmEdge_ValueGetI32(const value_t value)
{
    return (int32_t)value.bits;
}

API int64_t WasmEdge_ValueGetI64(const value_t value)
{
    return (int64_t)value.bits;
}

API bool WasmEdge_ResultOK(const result_t result)
{
    return result.code < 2;
}

API const char *WasmEdge_ResultGetMessage(const result_t result)
{
    switch (result.code) {
    case 0x40a:
    case 0x8a:
        return "unreachable";
    case 0x103:
        return "magic header not detected";
    case 0x202:
        return "type mismatch";
    case 0x301:
        return "incompatible import type";
    default:
        return "a failure \033[31m of\nthe library";
    }
}
