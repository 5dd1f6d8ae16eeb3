/* Keeps the core it runs on from idling: runs only when nothing else wants it, and ends with its parent. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

int main(void)
{
	struct sched_param none = {0};
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || sched_setscheduler(0, SCHED_IDLE, &none)) {
		perror("awake");
		return 1;
	}
	for (;;)
		__asm__ volatile("" ::: "memory");
}
