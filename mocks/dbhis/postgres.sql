-- Tables of the fake hospital 南园 for PostgreSQL. The columns above the line are the caller's, those
-- below it the hospital's: czbz 0 new, 1 read, 2 done, 9 refused; cwxx words; dqsj read at; clsj verdict at;
-- bb 0, or the row's id once it is refused (its number is free then); yx 1: in the books.

create table if not exists zjk_cf_main (
  id      bigint generated always as identity primary key,
  yljgdm  varchar(22) not null,
  cfh     varchar(64) not null,
  jzh     varchar(64),
  patid   varchar(64) not null,
  xm      varchar(64) not null,
  xb      char(1) not null,
  csrq    char(8),
  sfzh    varchar(18),
  ksdm    varchar(32),
  ysdm    varchar(32),
  ysxm    varchar(64),
  zddm    varchar(32),
  zdmc    varchar(128),
  zje     decimal(12,2) not null,
  kfsj    timestamp(3),
  -- ----
  czbz    char(1) not null default '0',
  cwxx    varchar(500),
  his_no  varchar(32),
  dqsj    timestamp(3),
  clsj    timestamp(3),
  bb      bigint not null default 0,
  yx      int not null default 0,
  constraint uq_zjk_cf_main unique (yljgdm, cfh, bb)
);
create index if not exists ix_zjk_cf_main_czbz on zjk_cf_main (czbz);
create index if not exists ix_zjk_cf_main_jzh on zjk_cf_main (jzh);

create table if not exists zjk_cf_detail (
  id      bigint generated always as identity primary key,
  yljgdm  varchar(22) not null,
  cfh     varchar(64) not null,
  xh      int not null,
  ypdm    varchar(32) not null,
  ypmc    varchar(128) not null,
  gg      varchar(64),
  sl      decimal(12,4) not null,
  dw      varchar(16),
  dj      decimal(12,4) not null,
  je      decimal(12,2) not null,
  yf      varchar(32),
  pc      varchar(32),
  jl      decimal(12,4),
  jldw    varchar(16),
  ts      int,
  -- ----
  tid     bigint,  -- the header that took this line
  bb      bigint not null default 0,
  constraint uq_zjk_cf_detail unique (yljgdm, cfh, xh, bb)
);
create index if not exists ix_zjk_cf_detail_tid on zjk_cf_detail (tid);

create table if not exists zjk_cf_zf (
  id      bigint generated always as identity primary key,
  yljgdm  varchar(22) not null,
  cfh     varchar(64) not null,
  zfyy    varchar(200),
  zfsj    timestamp(3),
  -- ----
  czbz    char(1) not null default '0',
  cwxx    varchar(500),
  his_no  varchar(32),
  dqsj    timestamp(3),
  clsj    timestamp(3),
  bb      bigint not null default 0,
  yx      int not null default 0,
  constraint uq_zjk_cf_zf unique (yljgdm, cfh, bb)
);
create index if not exists ix_zjk_cf_zf_czbz on zjk_cf_zf (czbz);

create table if not exists zjk_tf (
  id      bigint generated always as identity primary key,
  yljgdm  varchar(22) not null,
  tfdh    varchar(64) not null,
  ddh     varchar(64) not null,
  sjh     varchar(32),
  je      decimal(12,2) not null,
  tfsj    timestamp(3),
  tfyy    varchar(200),
  czy     varchar(32),
  -- ----
  czbz    char(1) not null default '0',
  cwxx    varchar(500),
  his_no  varchar(32),
  dqsj    timestamp(3),
  clsj    timestamp(3),
  bb      bigint not null default 0,
  yx      int not null default 0,
  constraint uq_zjk_tf unique (yljgdm, tfdh, bb)
);
create index if not exists ix_zjk_tf_czbz on zjk_tf (czbz);
create index if not exists ix_zjk_tf_ddh on zjk_tf (ddh);

-- What the hospital tells the platform, which looks for rows at clbz 0: lx 1 the window gives money back,
-- 2 dispensed, 3 taken back. The columns below the line are the platform's: clbz 1 done, 2 refused, 9 not understood.
create table if not exists zjk_tz (
  id      bigint generated always as identity primary key,
  yljgdm  varchar(22) not null,
  lx      char(1) not null,
  dh      varchar(32) not null,
  ddh     varchar(64),
  cfh     varchar(64),
  je      decimal(12,2),
  yy      varchar(200),
  cz      char(1) not null default '0',
  czy     varchar(32),
  sj      timestamp(3) not null,
  -- ----
  clbz    char(1) not null default '0',
  clyj    varchar(500),
  tkdh    varchar(64),
  clsj    timestamp(3),
  -- the hospital's again: 1 once it has booked the refund
  yx      int not null default 0
);
create index if not exists ix_zjk_tz_clbz on zjk_tz (clbz);

-- What the hospital keeps for itself. zjk_jf is written by zjk_jf_settle alone; cs counts the
-- settlements of one order, more than 1 only where repeats are booked again.
create table if not exists zjk_jf (
  id      bigint generated always as identity primary key,
  ddh     varchar(64) not null,
  cs      int not null default 1,
  sjh     varchar(32) not null,
  cfhs    varchar(1000) not null,
  je      decimal(12,2) not null,
  zfqd    varchar(16),
  jylsh   varchar(64),
  zfsj    timestamp(3) not null,
  czy     varchar(32),
  jzsj    timestamp(3) not null,
  constraint uq_zjk_jf unique (ddh, cs)
);
create index if not exists ix_zjk_jf_zfsj on zjk_jf (zfsj);

-- What the window and the pharmacy did: gh 1 a registration, cz 1 a reversal, fyzt 1 dispensed, 9 returned.
alter table zjk_jf add column if not exists gh int not null default 0;
alter table zjk_tf add column if not exists cz int not null default 0;
alter table zjk_cf_main add column if not exists fyzt char(1) not null default '0';

create table if not exists his_option (
  name    varchar(32) primary key,
  value   varchar(32) not null
);

create table if not exists his_fault (
  id        bigint generated always as identity primary key,
  fault     varchar(32) not null,
  operation varchar(64) not null,
  biz_key   varchar(64) not null,
  times     int not null,
  rate      double precision not null,
  delay_ms  bigint not null,
  hits      int not null default 0
);

create table if not exists his_journal (
  id        bigint generated always as identity primary key,
  at        timestamp(3) not null default (now() at time zone 'Asia/Shanghai'),
  operation varchar(64) not null,
  biz_key   varchar(64) not null,
  effect    varchar(200) not null,
  fault     varchar(32) not null default ''
);

create sequence if not exists his_no_seq;

-- Payment by our order number; no row: not known.
create or replace view v_zjk_jf as
select j.ddh, j.sjh, '1' as zt, j.je, j.jylsh, to_char(j.zfsj, 'YYYY-MM-DD HH24:MI:SS') as zfsj,
       coalesce((select sum(t.je) from zjk_tf t where t.ddh = j.ddh and t.yx = 1), 0) as tfje
  from zjk_jf j;

-- Ledger by the caller's own times. Of a payment it has no number but the channel's (jylsh) and the receipt's;
-- cz 1 takes a payment back without money, what the window gave back has no tfdh.
drop view if exists v_zjk_ledger_hz;
drop view if exists v_zjk_ledger;
create or replace view his_ledger as
select to_char(j.zfsj, 'YYYY-MM-DD') as rq, '1' as lx, '' as ddh, '' as tfdh, j.jylsh, j.sjh, j.je, to_char(j.zfsj, 'YYYY-MM-DD HH24:MI:SS') as sj, j.czy, j.zfqd, 0 as cz, j.cfhs
  from zjk_jf j
union all
select to_char(t.tfsj, 'YYYY-MM-DD'), '2', t.ddh, t.tfdh, j.jylsh, t.his_no, t.je, to_char(t.tfsj, 'YYYY-MM-DD HH24:MI:SS'), t.czy, j.zfqd, t.cz, ''
  from zjk_tf t left join zjk_jf j on j.ddh = t.ddh and j.cs = 1
 where t.yx = 1;

-- A HIS that lists every row twice: control's twice.
create or replace view v_zjk_ledger as
select l.* from his_ledger l cross join (select 1 as n union all select 2 from his_option where name = 'twice') copies;

create or replace view v_zjk_ledger_hz as
select rq, czy, zfqd, sum(case lx when '1' then 1 else 0 end) as jfbs, sum(case lx when '1' then je else 0.00 end) as jfje,
       sum(case lx when '2' then 1 else 0 end) as tfbs, sum(case lx when '2' then je else 0.00 end) as tfje
  from his_ledger group by rq, czy, zfqd;

-- Bills, one row per line: zfbz 0 unpaid, 1 paid, 9 void.
create or replace view zjk_bill as
select m.cfh, m.his_no, m.jzh, m.patid, d.xh, d.ypdm, d.ypmc, d.gg, d.sl, d.dw, d.dj, d.je,
       case when exists (select 1 from zjk_cf_zf z where z.yljgdm = m.yljgdm and z.cfh = m.cfh and z.yx = 1) then '9'
            when exists (select 1 from zjk_jf j where m.cfh = any(string_to_array(j.cfhs, ',')) or m.his_no = any(string_to_array(j.cfhs, ','))) then '1'
            else '0' end as zfbz
  from zjk_cf_main m join zjk_cf_detail d on d.tid = m.id
 where m.yx = 1;

-- Books money for an order once. p_code 0 done, 2 done before, -1 refused, -99 busy.
create or replace procedure zjk_jf_settle(
  p_ddh text, p_cfhs text, p_je numeric, p_zfqd text, p_jylsh text, p_zfsj timestamp, p_czy text,
  inout p_code int default null, inout p_msg text default null, inout p_sjh text default null, inout p_yje numeric default null)
language plpgsql as $$
declare
  v_repeats text := (select value from his_option where name = 'repeats');
  v_id      bigint;
  v_fault   text := '';
  v_cs      int := 1;
  v_effect  text := 'done';
begin
  p_code := null; p_sjh := null; p_yje := null;
  select id, fault into v_id, v_fault from his_fault
   where fault in ('busy', 'reject', 'duplicate_answer') and operation in ('', 'zjk_jf_settle')
     and (biz_key = '' or position(biz_key in p_ddh) > 0)
     and (times = 0 or hits < times) and (rate = 0 or random() < rate)
   order by id limit 1;
  if v_id is not null then
    update his_fault set hits = hits + 1 where id = v_id and (times = 0 or hits < times);
    if not found then v_fault := ''; end if;
  end if;
  v_fault := coalesce(v_fault, '');

  if v_fault = 'busy' then
    p_code := -99; p_msg := '系统繁忙'; v_effect := 'busy';
  elsif v_fault = 'reject' then
    p_code := -1; p_msg := '药品库存不足'; v_effect := 'refused: ' || p_msg;
  elsif coalesce(p_ddh, '') = '' or p_je is null or p_je <= 0 or p_je <> round(p_je, 2) then
    p_code := -1; p_msg := '金额错误'; v_effect := 'refused: ' || p_msg;
  else
    if v_repeats = 'double' then
      perform pg_advisory_xact_lock(hashtext(p_ddh));
      v_cs := coalesce((select max(cs) from zjk_jf where ddh = p_ddh), 0) + 1;
    end if;
    select sjh, je into p_sjh, p_yje from zjk_jf where ddh = p_ddh and cs = v_cs;
    if p_sjh is null then
      if exists (select 1 from zjk_cf_zf where yx = 1 and cfh = any(string_to_array(p_cfhs, ','))) then
        p_code := -1; p_msg := '处方已作废'; v_effect := 'refused: ' || p_msg;
      else
        insert into zjk_jf (ddh, cs, sjh, cfhs, je, zfqd, jylsh, zfsj, czy, jzsj)
        values (p_ddh, v_cs, 'S' || lpad(nextval('his_no_seq')::text, 7, '0'), coalesce(p_cfhs, ''), p_je, p_zfqd, p_jylsh,
                coalesce(p_zfsj, now() at time zone 'Asia/Shanghai'), p_czy,
                coalesce((select value::timestamp from his_option where name = 'clock'), now() at time zone 'Asia/Shanghai'))
        on conflict (ddh, cs) do nothing
        returning sjh, je into p_sjh, p_yje;
        if p_sjh is not null then
          p_code := 0; p_msg := '结算成功';
          if v_cs > 1 then v_effect := 'again'; end if;
          if v_fault = 'duplicate_answer' then p_code := 2; p_msg := '订单已结算'; end if;
        else -- somebody else was faster
          select sjh, je into p_sjh, p_yje from zjk_jf where ddh = p_ddh and cs = v_cs;
        end if;
      end if;
    end if;
    if p_code is null then
      v_effect := 'already';
      if v_repeats <> 'same' then
        p_code := 2; p_msg := '订单已结算';
      elsif p_yje = p_je then
        p_code := 0; p_msg := '结算成功';
      else
        p_code := -1; p_msg := '重复提交内容不一致'; v_effect := 'refused: ' || p_msg;
      end if;
    end if;
  end if;
  insert into his_journal (operation, biz_key, effect, fault) values ('zjk_jf_settle', coalesce(p_ddh, ''), v_effect, v_fault);
end $$;
