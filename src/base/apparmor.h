/* apparmor.h - whether this host has AppArmor, and the profile for sandboxes in it.
 *
 * Source: libapparmor's aa_query_label, security/apparmor/apparmorfs.c. */
#ifndef CL_BASE_APPARMOR_H
#define CL_BASE_APPARMOR_H

#define CL_APPARMOR_PROFILE "cloister-sandbox"

/* Where an installation has it, and the other, which lets cloister make user namespaces. */
#define CL_APPARMOR_PROFILES "PREFIX/share/cloister/apparmor.d/"
#define CL_APPARMOR_USERNS CL_APPARMOR_PROFILES "cloister"

enum cl_apparmor {
    CL_APPARMOR_NONE,     /* a kernel without it */
    CL_APPARMOR_READY,    /* the profile is loaded */
    CL_APPARMOR_UNLOADED, /* it is on, without the profile */
    CL_APPARMOR_UNKNOWN,  /* it may be on, and its files are not to be seen here */
};

/* Costs 0.001 ms on a kernel without AppArmor. */
enum cl_apparmor cl_apparmor_look(void);

/* What is to be done about UNLOADED. */
#define CL_APPARMOR_CURE                                                                           \
    "load it as root (apparmor_parser -r " CL_APPARMOR_PROFILES CL_APPARMOR_PROFILE                \
    "; make install does), or accept it: --without apparmor"

#endif
