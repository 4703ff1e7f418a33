/* Answers CPUID in the libraries that edgeopt.cpuid copied: there, the instruction is the two bytes
 * MARK, which no 64-bit CPU runs. The illegal instruction ends up here, CPUID is asked for real, and
 * bits of its answer are cleared as EDGEOPT_CPUID_HIDES says: LEAF.SUBLEAF.REGISTER.BITS, in hex,
 * REGISTER 0 to 3 for eax to edx, separated by commas; SUBLEAF ffffffff stands for any. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define MOST 64
static const unsigned char MARK[2] = {0xD6, 0xA2};
static struct { uint32_t leaf, sub, reg, bits; } hidden[MOST];
static int count;
static struct sigaction before;

static void answer(int number, siginfo_t *info, void *context) {
  greg_t *to = ((ucontext_t *)context)->uc_mcontext.gregs;
  if (memcmp((const void *)to[REG_RIP], MARK, 2) != 0) { /* not ours: as it would have gone */
    if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(number, info, context);
    else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) signal(number, SIG_DFL);
    else before.sa_handler(number);
    return;
  }
  uint32_t leaf = (uint32_t)to[REG_RAX], sub = (uint32_t)to[REG_RCX], r[4];
  __cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]);
  for (int i = 0; i < count; i++)
    if (hidden[i].leaf == leaf && (hidden[i].sub == sub || hidden[i].sub == 0xffffffffu))
      r[hidden[i].reg & 3] &= ~hidden[i].bits;
  to[REG_RAX] = r[0];
  to[REG_RBX] = r[1];
  to[REG_RCX] = r[2];
  to[REG_RDX] = r[3];
  to[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
  const char *at = getenv("EDGEOPT_CPUID_HIDES");
  int used = 0;
  while (at && *at && count < MOST &&
         sscanf(at, "%x.%x.%x.%x%n", &hidden[count].leaf, &hidden[count].sub, &hidden[count].reg,
                &hidden[count].bits, &used) == 4) {
    count++;
    at += used;
    if (*at == ',') at++;
  }
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGILL, &action, &before);
}
