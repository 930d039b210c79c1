-- Tables of the fake hospital 江湾 in the schema zlhis. Money is yuan, times are the hospital's without a zone.
create schema if not exists zlhis;
set search_path to zlhis;

create table if not exists his_option (
  name  text primary key,
  value text not null
);

create table if not exists his_fault (
  id        bigint generated always as identity primary key,
  fault     text not null,
  operation text not null,
  biz_key   text not null,
  times     int not null,
  rate      double precision not null,
  hits      int not null default 0
);

create table if not exists his_journal (
  id        bigint generated always as identity primary key,
  at        timestamp(3) not null default (now() at time zone 'Asia/Shanghai'),
  operation text not null,
  biz_key   text not null,
  effect    text not null,
  fault     text not null default ''
);

create sequence if not exists his_no_seq;

-- 科室, 医生, 药品.
create table if not exists ks (
  ksid   text primary key,
  ksmc   text not null,
  sjksid text,
  tybz   text not null
);
create table if not exists ys (
  ysid text not null,
  ysxm text not null,
  ksid text not null,
  yszc text,
  primary key (ysid, ksid)
);
create table if not exists yp (
  ypid text primary key,
  ypmc text not null,
  gg   text,
  jx   text,
  dw   text,
  jldw text,
  jlxs text,
  dj   numeric(12,4) not null,
  yfid text,
  ybbm text,
  tybz text not null,
  kcsl numeric(12,2) not null
);

-- 病人.
create table if not exists br (
  id   bigint generated always as identity primary key,
  brid text not null,
  kh   text not null,
  ptbh text,
  xm   text not null,
  xb   text,
  csrq text,
  zjlx text,
  zjh  text,
  sjh  text,
  jhr  text,  -- the guardian's document number
  jzsj timestamp(3) not null
);

-- 排班 and 挂号; zt: locked, released, booked, paid, cancelled.
create table if not exists pb (
  pbid text primary key,
  ksid text not null,
  ysid text not null,
  rq   text not null,
  sjd  text not null,
  kssj text not null,
  jssj text not null,
  hs   int not null,
  ghf  numeric(12,2) not null,
  tzbz text not null default '0'
);
create table if not exists gh (
  id   bigint generated always as identity primary key,
  wbdh text not null,
  shid text,
  ghdh text,
  brid text not null,
  pbid text not null,
  hx   int not null,
  ghf  numeric(12,2) not null,
  zt   text not null,
  yxsj timestamp(3),  -- until when a lock holds
  tkdh text,
  sj   timestamp(3) not null
);

-- 医嘱: prescriptions (zllb 5, 6, 7) and orders (C, D) with their lines; zt 1 saved, 2 paid, 9 void.
create table if not exists yz (
  id   bigint generated always as identity primary key,
  wbdh text not null,
  no   text not null,
  zllb text not null,
  ghdh text,
  brid text not null,
  xm   text not null,
  je   numeric(12,2) not null,
  ks   text,
  ys   text,
  kdsj timestamp(3),
  zt   text not null default '1',
  sj   timestamp(3) not null,
  zfyy text,
  zfsj timestamp(3)
);
create index if not exists ix_yz_wbdh on yz (wbdh);
create index if not exists ix_yz_no on yz (no);
create index if not exists ix_yz_brid on yz (brid);
create table if not exists yzmx (
  yzid bigint not null references yz,
  xh   int not null,
  xmid text not null,
  xmmc text not null,
  gg   text,
  dw   text,
  sl   text,
  dj   text,
  je   numeric(12,2) not null,
  primary key (yzid, xh)
);

-- 结帐: zt 2 begun, 1 booked, 0 taken back.
create table if not exists jz (
  id   bigint generated always as identity primary key,
  jzid text not null,
  zy   text not null,   -- the caller's order number
  nos  text not null,   -- joined by ,
  je   numeric(12,2) not null,
  jslb text,
  jylsh text,
  jysj timestamp(3) not null,
  czy  text,
  sfgh text not null,
  zt   text not null,
  yxsj timestamp(3),    -- until when a begun one can be confirmed
  sj   timestamp(3) not null
);
create index if not exists ix_jz_zy on jz (zy);
create index if not exists ix_jz_jylsh on jz (jylsh);
create index if not exists ix_jz_jzid on jz (jzid);
create index if not exists ix_jz_jysj on jz (jysj);

-- 退费.
create table if not exists tf (
  id   bigint generated always as identity primary key,
  cxid text not null,
  tkdh text not null,   -- the caller's refund number
  jzid text not null,
  zy   text not null,
  je   numeric(12,2) not null,
  tksj timestamp(3) not null,
  czy  text,
  sj   timestamp(3) not null
);
create index if not exists ix_tf_tkdh on tf (tkdh);
create index if not exists ix_tf_zy on tf (zy);
create table if not exists tfmx (
  cxid text not null,
  no   text not null,
  xh   int not null,
  je   numeric(12,2) not null
);

-- 冲正: cz 1 takes a settlement back without money. What the window gave back has no tkdh.
alter table tf add column if not exists cz text not null default '0';

-- 对账: what the finance system shows to others, by the caller's own times. It keeps the last 20 characters of the
-- caller's order numbers.
drop view if exists v_yb_mx;
drop view if exists v_dz_hz;
drop view if exists v_dz_mx;
create or replace view his_ledger as
select to_char(j.jysj, 'YYYY-MM-DD') as rq, '收费' as lx, right(j.zy, 20) as ddh, null::text as tkdh, j.jylsh, j.jzid as jyid, j.je,
       to_char(j.jysj, 'YYYY-MM-DD HH24:MI:SS') as jysj, j.czy, j.jslb as zffs, '0' as cz, j.nos as djh
  from jz j where j.zt = '1'
union all
select to_char(t.tksj, 'YYYY-MM-DD'), '退费', right(t.zy, 20), nullif(t.tkdh, ''), (select min(j.jylsh) from jz j where j.jzid = t.jzid), t.cxid, -t.je,
       to_char(t.tksj, 'YYYY-MM-DD HH24:MI:SS'), t.czy, (select min(j.jslb) from jz j where j.jzid = t.jzid), t.cz, null
  from tf t;

-- A finance system that lists every row twice: control's twice.
create or replace view v_dz_mx as
select l.* from his_ledger l cross join (select 1 as n union all select 2 from his_option where name = 'twice') copies;

create or replace view v_dz_hz as
select rq, czy, count(*) filter (where lx = '收费') as sfbs, coalesce(sum(je) filter (where lx = '收费'), 0) as sfje,
       count(*) filter (where lx = '退费') as tfbs, coalesce(sum(je) filter (where lx = '退费'), 0) as tfje
  from his_ledger group by rq, czy;

-- 医保: what the insurance settled, as its front machine in the hospital knows it; jslsh is the insurance's own number.
create or replace view v_yb_mx as
select rq, case lx when '收费' then '结算' else '撤销' end as lx, jylsh as jslsh, jyid, abs(je) as je, jysj from his_ledger where zffs = '医保' and cz = '0';
