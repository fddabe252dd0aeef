#include "kvm.h"

#ifdef __x86_64__
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

enum { MEMORY = 4096, CODE_AT = 0x1000, PATIENCE = 50000 /* microseconds */, TRIES = 2 };

/* Counts down from 200,000 and halts. */
static const unsigned char code[] = {
    0x66, 0xb9, 0x40, 0x0d, 0x03, 0x00, /* mov ecx, 200000 */
    0x66, 0x49,                         /* dec ecx */
    0x75, 0xfc,                         /* jnz to the dec */
    0xf4,                               /* hlt */
};

struct machine {
	int kvm, vm, vcpu;
	void *memory;
	struct kvm_run *run;
	int run_size;
};

static void interrupt(int sig)
{
	(void)sig;
}

static bool make_machine(struct machine *m)
{
	struct kvm_userspace_memory_region region = {.guest_phys_addr = CODE_AT,
						     .memory_size = MEMORY};

	m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	m->vm = m->kvm >= 0 ? ioctl(m->kvm, KVM_CREATE_VM, 0) : -1;
	m->memory =
	    mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->vm < 0 || m->memory == MAP_FAILED)
		return false;
	memcpy(m->memory, code, sizeof code);
	region.userspace_addr = (uintptr_t)m->memory;
	m->run_size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (m->run_size <= 0 || ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return false;
	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
	if (m->vcpu < 0)
		return false;
	m->run = mmap(NULL, (size_t)m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      m->vcpu, 0);
	return m->run != MAP_FAILED;
}

static bool set_registers(const struct machine *m)
{
	struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return false;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	return ioctl(m->vcpu, KVM_SET_SREGS, &sregs) == 0 &&
	       ioctl(m->vcpu, KVM_SET_REGS, &regs) == 0;
}

static bool halts_in_time(const struct machine *m)
{
	const struct itimerval patience = {.it_value.tv_usec = PATIENCE,
					   .it_interval.tv_usec = PATIENCE},
			       none = {0};
	struct sigaction action = {.sa_handler = interrupt}, old;

	if (!set_registers(m))
		return false;
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &patience, NULL);
	int result = ioctl(m->vcpu, KVM_RUN, 0);
	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &old, NULL);
	return result == 0 && m->run->exit_reason == KVM_EXIT_HLT;
}

bool kvm_works(void)
{
	struct machine m = {-1, -1, -1, MAP_FAILED, MAP_FAILED, 0};
	bool works = false;

	if (make_machine(&m))
		for (int i = 0; i < TRIES && !works; i++)
			works = halts_in_time(&m);
	if (m.run != MAP_FAILED)
		munmap(m.run, (size_t)m.run_size);
	if (m.memory != MAP_FAILED)
		munmap(m.memory, MEMORY);
	if (m.vcpu >= 0)
		close(m.vcpu);
	if (m.vm >= 0)
		close(m.vm);
	if (m.kvm >= 0)
		close(m.kvm);
	return works;
}
#else
bool kvm_works(void)
{
	return false;
}
#endif
