/*
 * kvm: whether KVM is of any use here. Level 2.
 */
#ifndef DT_KVM_H
#define DT_KVM_H

#include <stdbool.h>

/*
 * Runs a loop in a virtual processor. On some machines /dev/kvm opens, but what runs by
 * it is emulated, thousands of times as slow; this tells them apart within a tenth of a
 * second. Uses SIGALRM and the real-time interval timer.
 */
bool kvm_works(void);

#endif
