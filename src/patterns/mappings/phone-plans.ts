/**
 * The numbering plans of the world, one entry a calling code: `code regions trunk idd lengths`. `regions`: ISO 3166, the
 * main one first. `trunk`: what people dial before a national number; `-` where there is none, `+` where there is none
 * and a leading zero belongs to the number. `idd`: what they dial before a foreign one; `-` where it names a carrier
 * and so cannot be read safely. `lengths`: digits of a fixed or mobile number after the code.
 * Facts taken from Google's libphonenumber metadata (Apache-2.0) of libphonenumber-js 1.13.16.
 */
const plans = `
1 US/AG/AI/AS/BB/BM/BS/CA/DM/DO/GD/GU/JM/KN/KY/LC/MP/MS/PR/SX/TC/TT/VC/VG/VI 1 011 10; 20 EG 0 00 8-10;
211 SS 0 00 9; 212 MA/EH 0 00 9; 213 DZ 0 00 8-9; 216 TN - 00 8; 218 LY 0 00 9; 220 GM - 00 7,9; 221 SN - 00 9;
222 MR - 00 8; 223 ML - 00 8; 224 GN - 00 8-9; 225 CI + 00 10; 226 BF + 00 8; 227 NE - 00 8; 228 TG - 00 8;
229 BJ + 00 10; 230 MU - 00 7-8; 231 LR 0 00 7-9; 232 SL 0 00 8; 233 GH 0 00 9; 234 NG 0 - 10; 235 TD - 00 8;
236 CF - 00 8; 237 CM - 00 9; 238 CV - - 7; 239 ST - 00 7; 240 GQ - 00 9; 241 GA + 00 7-8; 242 CG + 00 9;
243 CD 0 00 7-10; 244 AO - 00 9; 245 GW - 00 9; 246 IO - 00 7; 247 AC - 00 5; 248 SC - - 7; 249 SD 0 00 9;
250 RW 0 00 8-9; 251 ET 0 00 9; 252 SO 0 00 6-9; 253 DJ - 00 8; 254 KE 0 000 7-9; 255 TZ 0 - 9; 256 UG 0 - 9;
257 BI - 00 8; 258 MZ - 00 8-9; 260 ZM 0 00 9; 261 MG 0 00 9; 262 RE/YT 0 00 9; 263 ZW 0 00 9; 264 NA 0 00 8-9;
265 MW 0 00 7,9; 266 LS - 00 8; 267 BW - 00 7-8; 268 SZ - 00 8; 269 KM - 00 7; 27 ZA 0 00 5-9;
290 SH/TA - 00 4-5; 291 ER 0 00 7; 297 AW - 00 7; 298 FO - 00 6; 299 GL - 00 6; 30 GR - 00 10; 31 NL 0 00 9,11;
32 BE 0 00 8-9; 33 FR 0 00 9; 34 ES - 00 9; 350 GI - 00 8; 351 PT - 00 9; 352 LU - 00 4-11; 353 IE 0 00 7-10;
354 IS - 00 7,9; 355 AL 0 00 8-9; 356 MT - 00 8; 357 CY - 00 8; 358 FI/AX 0 00 5-10; 359 BG 0 00 6-9;
36 HU 06 00 8-9; 370 LT 0 00 8; 371 LV - 00 8; 372 EE - 00 7-8; 373 MD 0 00 8; 374 AM 0 00 8; 375 BY 8 810 9;
376 AD - 00 6,9; 377 MC 0 00 8-9; 378 SM + 00 8,10; 380 UA 0 00 9; 381 RS 0 00 7-12; 382 ME 0 00 8;
383 XK 0 00 8-12; 385 HR 0 00 8-9; 386 SI 0 00 8; 387 BA 0 00 8-9; 389 MK 0 00 8; 39 IT/VA + 00 6-12;
40 RO 0 00 6,9; 41 CH 0 00 9; 420 CZ - 00 9; 421 SK 0 00 6-7,9; 423 LI 0 00 7,9; 43 AT 0 00 4-13;
44 GB/GG/IM/JE 0 00 9-10; 45 DK - 00 8; 46 SE 0 00 7-9; 47 NO/SJ - 00 8; 48 PL - 00 7,9; 49 DE 0 00 5-15;
500 FK - 00 5; 501 BZ - 00 7; 502 GT - 00 8; 503 SV - 00 8; 504 HN - 00 8; 505 NI - 00 8; 506 CR - 00 8;
507 PA - 00 7-8; 508 PM 0 00 6,9; 509 HT - 00 8; 51 PE 0 00 8-9; 52 MX - 00 10; 53 CU 0 119 6-8,10;
54 AR 0 00 10-11; 55 BR 0 - 10-11; 56 CL - - 9; 57 CO 0 - 8,10; 58 VE 0 00 10; 590 GP/BL/MF 0 00 9; 591 BO 0 - 8;
592 GY - 001 7; 593 EC 0 00 8-9; 594 GF 0 00 9; 595 PY 0 00 7-9; 596 MQ 0 00 9; 597 SR - 00 6-7; 598 UY 0 00 8;
599 CW/BQ - 00 7-8; 60 MY 0 00 8-10; 61 AU/CC/CX 0 0011 9; 62 ID 0 - 7-12; 63 PH 0 00 6,8-10; 64 NZ 0 00 8-10;
65 SG - - 8; 66 TH 0 - 8-9; 670 TL - 00 7-8; 672 NF - 00 6; 673 BN - 00 7; 674 NR - 00 7; 675 PG - 00 7-8;
676 TO - 00 5,7; 677 SB - - 5,7; 678 VU - 00 5,7; 679 FJ - 00 7; 680 PW - - 7; 681 WF - 00 6; 682 CK - 00 5;
683 NU - 00 4,7; 685 WS - - 5-7,10; 686 KI 0 00 5,8; 687 NC - 00 6; 688 TV - 00 5-7; 689 PF - 00 8;
690 TK - 00 4-7; 691 FM - 00 7; 692 MH 1 011 7; 7 RU/KZ 8 810 10; 81 JP 0 010 9-10; 82 KR 0 - 5-6,8-10;
84 VN 0 00 9-10; 850 KP 0 00 8,10; 852 HK - - 8; 853 MO - 00 8; 855 KH 0 - 8-9; 856 LA 0 00 8-10;
86 CN 0 00 7-11; 880 BD 0 00 6-10; 886 TW 0 - 8-9; 90 TR 0 00 10; 91 IN 0 00 10; 92 PK 0 00 9-10; 93 AF 0 00 9;
94 LK 0 00 9; 95 MM 0 00 6-10; 960 MV - 00 7; 961 LB 0 00 7-8; 962 JO 0 00 8-9; 963 SY 0 00 8-9;
964 IQ 0 00 8-10; 965 KW - 00 8; 966 SA 0 00 9; 967 YE 0 00 7-9; 968 OM - 00 8; 970 PS 0 00 8-9; 971 AE 0 00 8-9;
972 IL 0 00 8-9,11-12; 973 BH - 00 8; 974 QA - 00 8; 975 BT - 00 7-8; 976 MN 0 001 8-10; 977 NP 0 00 8,10;
98 IR 0 00 6-7,10; 992 TJ + 810 9; 993 TM 8 810 8; 994 AZ 0 00 9; 995 GE 0 00 9; 996 KG 0 00 9; 998 UZ - 00 9`

export type PhonePlan = {
  /** `+254` */
  readonly prefix: string
  /** ISO region of the calling code: the main one where several share it. */
  readonly region: string
  readonly trunk: string
  /** Whether a leading zero may belong to the number itself. */
  readonly zero: boolean
  readonly idd: string
  /** Bit n is set when a national number may have n digits. */
  readonly lengths: number
}

type Book = { readonly byCode: readonly (PhonePlan | undefined)[]; readonly byRegion: ReadonlyMap<string, PhonePlan> }

let book: Book | undefined

/** Read at first use: importing this module does nothing. */
export function phonePlans(): Book {
  return (book ??= read())
}

function read(): Book {
  const byCode: (PhonePlan | undefined)[] = Array.from({ length: 1000 }, () => undefined)
  const byRegion = new Map<string, PhonePlan>()
  for (const line of plans.split(';')) {
    const [code = '', regions = '', trunk = '', idd = '', lengths = ''] = line.trim().split(' ')
    const names = regions.split('/')
    const plan: PhonePlan = {
      prefix: `+${code}`,
      region: names[0] ?? '',
      trunk: trunk === '-' || trunk === '+' ? '' : trunk,
      zero: trunk === '+',
      idd: idd === '-' ? '' : idd,
      lengths: bits(lengths),
    }
    byCode[Number(code)] = plan
    for (const name of names) byRegion.set(name, plan)
  }
  return { byCode, byRegion }
}

function bits(lengths: string): number {
  let out = 0
  for (const range of lengths.split(',')) {
    const [from, to = from] = range.split('-').map(Number)
    for (let n = from ?? 0; n <= (to ?? 0); n++) out |= 1 << n
  }
  return out
}
