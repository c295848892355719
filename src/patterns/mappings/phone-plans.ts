/**
 * The numbering plans of the world, one entry a calling code: `code regions trunk idd lengths others`. `regions`: ISO 3166, the
 * main one first. `trunk`: what people dial before a national number; `-` where there is none, `+` where there is none
 * and a leading zero belongs to the number. `idd`: what they dial before a foreign one; `-` where it names a carrier
 * and so cannot be read safely. `lengths`: digits of a fixed or mobile number after the code.
 * `others`: digits of toll-free and other services; India's are left out, their look would cost its mobiles beginning 91.
 * Facts taken from Google's libphonenumber metadata (Apache-2.0) of libphonenumber-js 1.13.16.
 */
const plans = `
1 US/AG/AI/AS/BB/BM/BS/CA/DM/DO/GD/GU/JM/KN/KY/LC/MP/MS/PR/SX/TC/TT/VC/VG/VI 1 011 10 7; 20 EG 0 00 8-10 -;
211 SS 0 00 9 -; 212 MA/EH 0 00 9 -; 213 DZ 0 00 8-9 -; 216 TN - 00 8 -; 218 LY 0 00 9 -; 220 GM - 00 7,9 -;
221 SN - 00 9 -; 222 MR - 00 8 -; 223 ML - 00 8 -; 224 GN - 00 8-9 -; 225 CI + 00 10 -; 226 BF + 00 8 -;
227 NE - 00 8 -; 228 TG - 00 8 -; 229 BJ + 00 10 -; 230 MU - 00 7-8 10; 231 LR 0 00 7-9 -; 232 SL 0 00 8 -;
233 GH 0 00 9 8; 234 NG 0 - 10 11-14; 235 TD - 00 8 -; 236 CF - 00 8 -; 237 CM - 00 9 8; 238 CV - - 7 -;
239 ST - 00 7 -; 240 GQ - 00 9 -; 241 GA + 00 7-8 -; 242 CG + 00 9 -; 243 CD 0 00 7-10 -; 244 AO - 00 9 -;
245 GW - 00 9 7; 246 IO - 00 7 -; 247 AC - 00 5 6; 248 SC - - 7 -; 249 SD 0 00 9 -; 250 RW 0 00 8-9 -;
251 ET 0 00 9 -; 252 SO 0 00 6-9 -; 253 DJ - 00 8 -; 254 KE 0 000 7-9 10; 255 TZ 0 - 9 -; 256 UG 0 - 9 -;
257 BI - 00 8 -; 258 MZ - 00 8-9 -; 260 ZM 0 00 9 -; 261 MG 0 00 9 -; 262 RE/YT 0 00 9 -; 263 ZW 0 00 9 7,10;
264 NA 0 00 8-9 -; 265 MW 0 00 7,9 -; 266 LS - 00 8 -; 267 BW - 00 7-8 10; 268 SZ - 00 8 9; 269 KM - 00 7 -;
27 ZA 0 00 5-9 10; 290 SH/TA - 00 4-5 -; 291 ER 0 00 7 -; 297 AW - 00 7 -; 298 FO - 00 6 -; 299 GL - 00 6 -;
30 GR - 00 10 11-12; 31 NL 0 00 9,11 5-8,10; 32 BE 0 00 8-9 -; 33 FR 0 00 9 -; 34 ES - 00 9 -; 350 GI - 00 8 -;
351 PT - 00 9 -; 352 LU - 00 4-11 -; 353 IE 0 00 7-10 -; 354 IS - 00 7,9 -; 355 AL 0 00 8-9 6-7; 356 MT - 00 8 -;
357 CY - 00 8 -; 358 FI/AX 0 00 5-10 11-12; 359 BG 0 00 6-9 12; 36 HU 06 00 8-9 -; 370 LT 0 00 8 -;
371 LV - 00 8 -; 372 EE - 00 7-8 10; 373 MD 0 00 8 -; 374 AM 0 00 8 -; 375 BY 8 810 9 6-8,10-11;
376 AD - 00 6,9 8; 377 MC 0 00 8-9 -; 378 SM + 00 8,10 -; 380 UA 0 00 9 10; 381 RS 0 00 7-12 6; 382 ME 0 00 8 9;
383 XK 0 00 8-12 -; 385 HR 0 00 8-9 7; 386 SI 0 00 8 5-7; 387 BA 0 00 8-9 -; 389 MK 0 00 8 -;
39 IT/VA + 00 6-12 -; 40 RO 0 00 6,9 -; 41 CH 0 00 9 12; 420 CZ - 00 9 10-12; 421 SK 0 00 6-7,9 -;
423 LI 0 00 7,9 -; 43 AT 0 00 4-13 -; 44 GB/GG/IM/JE 0 00 9-10 7; 45 DK - 00 8 -; 46 SE 0 00 7-9 6,10,12;
47 NO/SJ - 00 8 5; 48 PL - 00 7,9 6,8,10; 49 DE 0 00 5-15 4; 500 FK - 00 5 -; 501 BZ - 00 7 11; 502 GT - 00 8 11;
503 SV - 00 8 7,11; 504 HN - 00 8 11; 505 NI - 00 8 -; 506 CR - 00 8 10; 507 PA - 00 7-8 10-11;
508 PM 0 00 6,9 -; 509 HT - 00 8 -; 51 PE 0 00 8-9 -; 52 MX - 00 10 -; 53 CU 0 119 6-8,10 -; 54 AR 0 00 10-11 -;
55 BR 0 - 10-11 8-9; 56 CL - - 9 10-11; 57 CO 0 - 8,10 11; 58 VE 0 00 10 -; 590 GP/BL/MF 0 00 9 -;
591 BO 0 - 8 9; 592 GY - 001 7 -; 593 EC 0 00 8-9 10-11; 594 GF 0 00 9 -; 595 PY 0 00 7-9 6,10-11;
596 MQ 0 00 9 -; 597 SR - 00 6-7 -; 598 UY 0 00 8 4-7,9-13; 599 CW/BQ - 00 7-8 -; 60 MY 0 00 8-10 -;
61 AU/CC/CX 0 0011 9 5-8,10,12; 62 ID 0 - 7-12 13-15; 63 PH 0 00 6,8-10 11-13; 64 NZ 0 00 8-10 5-7;
65 SG - - 8 10-11; 66 TH 0 - 8-9 10,13; 670 TL - 00 7-8 -; 672 NF - 00 6 -; 673 BN - 00 7 -; 674 NR - 00 7 -;
675 PG - 00 7-8 -; 676 TO - 00 5,7 -; 677 SB - - 5,7 -; 678 VU - 00 5,7 -; 679 FJ - 00 7 11; 680 PW - - 7 -;
681 WF - 00 6 9; 682 CK - 00 5 -; 683 NU - 00 4,7 -; 685 WS - - 5-7,10 -; 686 KI 0 00 5,8 -; 687 NC - 00 6 -;
688 TV - 00 5-7 -; 689 PF - 00 8 6,9; 690 TK - 00 4-7 -; 691 FM - 00 7 -; 692 MH 1 011 7 -; 7 RU/KZ 8 810 10 14;
81 JP 0 010 9-10 8,11-15; 82 KR 0 - 5-6,8-10 11-14; 84 VN 0 00 9-10 7-8; 850 KP 0 00 8,10 -;
852 HK - - 8 5-7,9,11; 853 MO - 00 8 7; 855 KH 0 - 8-9 10; 856 LA 0 00 8-10 -; 86 CN 0 00 7-11 12;
880 BD 0 00 6-10 -; 886 TW 0 - 8-9 7,10-11; 90 TR 0 00 10 7,12-13; 91 IN 0 00 10 -; 92 PK 0 00 9-10 8,11-12;
93 AF 0 00 9 -; 94 LK 0 00 9 -; 95 MM 0 00 6-10 -; 960 MV - 00 7 10; 961 LB 0 00 7-8 -; 962 JO 0 00 8-9 -;
963 SY 0 00 8-9 -; 964 IQ 0 00 8-10 -; 965 KW - 00 8 7; 966 SA 0 00 9 10; 967 YE 0 00 7-9 -; 968 OM - 00 8 7,9;
970 PS 0 00 8-9 10; 971 AE 0 00 8-9 5-7,10-12; 972 IL 0 00 8-9 7,10-12; 973 BH - 00 8 -; 974 QA - 00 8 7,9,11;
975 BT - 00 7-8 -; 976 MN 0 001 8-10 -; 977 NP 0 00 8,10 11; 98 IR 0 00 6-7,10 4-5; 992 TJ + 810 9 -;
993 TM 8 810 8 -; 994 AZ 0 00 9 -; 995 GE 0 00 9 -; 996 KG 0 00 9 10; 998 UZ - 00 9 -`

/** After the code these digits choose a carrier or a line abroad: Korea, Israel, Luxembourg, North Korea, Brazil. */
const carriers: Readonly<Record<string, string>> = { 82: '8', 972: '1', 352: '15', 850: '9', 55: '90' }

export type PhonePlan = {
  /** `+254` */
  readonly prefix: string
  /** ISO region of the calling code: the main one where several share it. */
  readonly region: string
  readonly trunk: string
  /** Whether a leading zero may belong to the number itself. */
  readonly zero: boolean
  readonly idd: string
  /** No subscriber's number begins with these digits; empty for most. */
  readonly never: string
  /** Bit n is set when a national number may have n digits. */
  readonly lengths: number
  /** The same for services (toll-free, premium): not accepted, but what could be one is ambiguous. */
  readonly others: number
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
    const [code = '', regions = '', trunk = '', idd = '', lengths = '', others = ''] = line.trim().split(' ')
    const names = regions.split('/')
    const plan: PhonePlan = {
      prefix: `+${code}`,
      region: names[0] ?? '',
      trunk: trunk === '-' || trunk === '+' ? '' : trunk,
      zero: trunk === '+',
      idd: idd === '-' ? '' : idd,
      never: carriers[code] ?? '',
      lengths: bits(lengths),
      others: others === '-' ? 0 : bits(others),
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
