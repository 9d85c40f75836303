#include "textflag.h"

DATA bytes<>+0(SB)/8, $0x2020202020202020
DATA bytes<>+8(SB)/8, $0x2222222222222222
DATA bytes<>+16(SB)/8, $0x5c5c5c5c5c5c5c5c
GLOBL bytes<>(SB), RODATA|NOPTR, $24

// func plain32(p []byte) int
TEXT ·plain32(SB), NOSPLIT, $0-32
	MOVQ p_base+0(FP), SI
	MOVQ p_len+8(FP), CX
	XORQ AX, AX
	ANDQ $~31, CX
	JZ   over
	VPBROADCASTQ bytes<>+0(SB), Y1
	VPBROADCASTQ bytes<>+8(SB), Y2
	VPBROADCASTQ bytes<>+16(SB), Y3

loop:
	VMOVDQU   (SI)(AX*1), Y0
	VPCMPGTB  Y0, Y1, Y4 // as signed bytes: below ' ', which non-ASCII is too
	VPCMPEQB  Y0, Y2, Y5 // a quote
	VPCMPEQB  Y0, Y3, Y6 // a backslash
	VPOR      Y4, Y5, Y5
	VPOR      Y5, Y6, Y6
	VPMOVMSKB Y6, DX
	TESTL     DX, DX
	JNZ       found
	ADDQ      $32, AX
	CMPQ      AX, CX
	JLT       loop
	JMP       over

found:
	BSFL DX, DX
	ADDQ DX, AX

over:
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET
