/* pages.h - memory that a process which goes on living needs no more. */
#ifndef CL_BASE_PAGES_H
#define CL_BASE_PAGES_H

/* Lets go of the pages of the program's code that this process has mapped so far. They stay in
 * the page cache: what is executed again costs a minor fault for some 16 pages of it. Only a
 * matter of size, so that no failure is one. */
void cl_pages_forget_code(void);

#endif
