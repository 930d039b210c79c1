-- Tables of the fake hospital 南园 for MariaDB. The columns above the line are the caller's, those
-- below it the hospital's: czbz 0 new, 1 read, 2 done, 9 refused; cwxx words; dqsj read at; clsj verdict at;
-- bb 0, or the row's id once it is refused (its number is free then); yx 1: in the books.

create table if not exists zjk_cf_main (
  id      bigint not null auto_increment primary key,
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
  kfsj    datetime(3),
  -- ----
  czbz    char(1) not null default '0',
  cwxx    varchar(500),
  his_no  varchar(32),
  dqsj    datetime(3),
  clsj    datetime(3),
  bb      bigint not null default 0,
  yx      int not null default 0,
  constraint uq_zjk_cf_main unique (yljgdm, cfh, bb)
) default charset=utf8mb4 collate=utf8mb4_bin;
create index if not exists ix_zjk_cf_main_czbz on zjk_cf_main (czbz);
create index if not exists ix_zjk_cf_main_jzh on zjk_cf_main (jzh);

create table if not exists zjk_cf_detail (
  id      bigint not null auto_increment primary key,
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
) default charset=utf8mb4 collate=utf8mb4_bin;
create index if not exists ix_zjk_cf_detail_tid on zjk_cf_detail (tid);

create table if not exists zjk_cf_zf (
  id      bigint not null auto_increment primary key,
  yljgdm  varchar(22) not null,
  cfh     varchar(64) not null,
  zfyy    varchar(200),
  zfsj    datetime(3),
  -- ----
  czbz    char(1) not null default '0',
  cwxx    varchar(500),
  his_no  varchar(32),
  dqsj    datetime(3),
  clsj    datetime(3),
  bb      bigint not null default 0,
  yx      int not null default 0,
  constraint uq_zjk_cf_zf unique (yljgdm, cfh, bb)
) default charset=utf8mb4 collate=utf8mb4_bin;
create index if not exists ix_zjk_cf_zf_czbz on zjk_cf_zf (czbz);

create table if not exists zjk_tf (
  id      bigint not null auto_increment primary key,
  yljgdm  varchar(22) not null,
  tfdh    varchar(64) not null,
  ddh     varchar(64) not null,
  sjh     varchar(32),
  je      decimal(12,2) not null,
  tfsj    datetime(3),
  tfyy    varchar(200),
  czy     varchar(32),
  -- ----
  czbz    char(1) not null default '0',
  cwxx    varchar(500),
  his_no  varchar(32),
  dqsj    datetime(3),
  clsj    datetime(3),
  bb      bigint not null default 0,
  yx      int not null default 0,
  constraint uq_zjk_tf unique (yljgdm, tfdh, bb)
) default charset=utf8mb4 collate=utf8mb4_bin;
create index if not exists ix_zjk_tf_czbz on zjk_tf (czbz);
create index if not exists ix_zjk_tf_ddh on zjk_tf (ddh);

-- What the hospital tells the platform, which looks for rows at clbz 0: lx 1 the window gives money back,
-- 2 dispensed, 3 taken back. The columns below the line are the platform's: clbz 1 done, 2 refused, 9 not understood.
create table if not exists zjk_tz (
  id      bigint not null auto_increment primary key,
  yljgdm  varchar(22) not null,
  lx      char(1) not null,
  dh      varchar(32) not null,
  ddh     varchar(64),
  cfh     varchar(64),
  je      decimal(12,2),
  yy      varchar(200),
  cz      char(1) not null default '0',
  czy     varchar(32),
  sj      datetime(3) not null,
  -- ----
  clbz    char(1) not null default '0',
  clyj    varchar(500),
  tkdh    varchar(64),
  clsj    datetime(3),
  -- the hospital's again: 1 once it has booked the refund
  yx      int not null default 0
) default charset=utf8mb4 collate=utf8mb4_bin;
create index if not exists ix_zjk_tz_clbz on zjk_tz (clbz);

-- What the hospital keeps for itself. zjk_jf is written by zjk_jf_settle alone; cs counts the
-- settlements of one order, more than 1 only where repeats are booked again.
create table if not exists zjk_jf (
  id      bigint not null auto_increment primary key,
  ddh     varchar(64) not null,
  cs      int not null default 1,
  sjh     varchar(32) not null,
  cfhs    varchar(1000) not null,
  je      decimal(12,2) not null,
  zfqd    varchar(16),
  jylsh   varchar(64),
  zfsj    datetime(3) not null,
  czy     varchar(32),
  jzsj    datetime(3) not null,
  constraint uq_zjk_jf unique (ddh, cs)
) default charset=utf8mb4 collate=utf8mb4_bin;
create index if not exists ix_zjk_jf_zfsj on zjk_jf (zfsj);

-- What the window and the pharmacy did: gh 1 a registration, cz 1 a reversal, fyzt 1 dispensed, 9 returned.
alter table zjk_jf add column if not exists gh int not null default 0;
alter table zjk_tf add column if not exists cz int not null default 0;
alter table zjk_cf_main add column if not exists fyzt char(1) not null default '0';

create table if not exists his_option (
  name    varchar(32) primary key,
  value   varchar(32) not null
) default charset=utf8mb4 collate=utf8mb4_bin;

create table if not exists his_fault (
  id        bigint not null auto_increment primary key,
  fault     varchar(32) not null,
  operation varchar(64) not null,
  biz_key   varchar(64) not null,
  times     int not null,
  rate      double precision not null,
  delay_ms  bigint not null,
  hits      int not null default 0
) default charset=utf8mb4 collate=utf8mb4_bin;

create table if not exists his_journal (
  id        bigint not null auto_increment primary key,
  at        datetime(3) not null default (utc_timestamp(3) + interval 8 hour),
  operation varchar(64) not null,
  biz_key   varchar(64) not null,
  effect    varchar(200) not null,
  fault     varchar(32) not null default ''
) default charset=utf8mb4 collate=utf8mb4_bin;

create sequence if not exists his_no_seq;

-- Payment by our order number; no row: not known.
create or replace view v_zjk_jf as
select j.ddh, j.sjh, '1' as zt, j.je, j.jylsh, date_format(j.zfsj, '%Y-%m-%d %H:%i:%s') as zfsj,
       coalesce((select sum(t.je) from zjk_tf t where t.ddh = j.ddh and t.yx = 1), 0) as tfje
  from zjk_jf j;

-- Ledger by the caller's own times. Of a payment it has no number but the channel's (jylsh) and the receipt's;
-- cz 1 takes a payment back without money, what the window gave back has no tfdh.
drop view if exists v_zjk_ledger_hz;
drop view if exists v_zjk_ledger;
create or replace view his_ledger as
select date_format(j.zfsj, '%Y-%m-%d') as rq, '1' as lx, '' as ddh, '' as tfdh, j.jylsh, j.sjh, j.je, date_format(j.zfsj, '%Y-%m-%d %H:%i:%s') as sj, j.czy, j.zfqd, 0 as cz, j.cfhs
  from zjk_jf j
union all
select date_format(t.tfsj, '%Y-%m-%d'), '2', t.ddh, t.tfdh, j.jylsh, t.his_no, t.je, date_format(t.tfsj, '%Y-%m-%d %H:%i:%s'), t.czy, j.zfqd, t.cz, ''
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
            when exists (select 1 from zjk_jf j where find_in_set(m.cfh, j.cfhs) > 0 or find_in_set(m.his_no, j.cfhs) > 0) then '1'
            else '0' end as zfbz
  from zjk_cf_main m join zjk_cf_detail d on d.tid = m.id
 where m.yx = 1;

-- Books money for an order once. p_code 0 done, 2 done before, -1 refused, -99 busy.
create or replace procedure zjk_jf_settle(
  in p_ddh varchar(64), in p_cfhs varchar(1000), in p_je decimal(14,4), in p_zfqd varchar(16), in p_jylsh varchar(64),
  in p_zfsj datetime, in p_czy varchar(32),
  out p_code int, out p_msg varchar(500), out p_sjh varchar(32), out p_yje decimal(12,2))
begin
  declare v_repeats varchar(32) default (select value from his_option where name = 'repeats');
  declare v_id bigint;
  declare v_fault varchar(32) default '';
  declare v_cs int default 1;
  declare v_taken int default 0;
  declare v_effect varchar(200) default 'done';
  declare continue handler for not found begin end;

  set p_code = null, p_sjh = null, p_yje = null;
  select id, fault into v_id, v_fault from his_fault
   where fault in ('busy', 'reject', 'duplicate_answer') and operation in ('', 'zjk_jf_settle')
     and (biz_key = '' or position(biz_key in p_ddh) > 0)
     and (times = 0 or hits < times) and (rate = 0 or rand() < rate)
   order by id limit 1;
  if v_id is not null then
    update his_fault set hits = hits + 1 where id = v_id and (times = 0 or hits < times);
    if row_count() = 0 then set v_fault = ''; end if;
  end if;

  if v_fault = 'busy' then
    set p_code = -99, p_msg = '系统繁忙', v_effect = 'busy';
  elseif v_fault = 'reject' then
    set p_code = -1, p_msg = '药品库存不足', v_effect = 'refused: 药品库存不足';
  elseif coalesce(p_ddh, '') = '' or p_je is null or p_je <= 0 or p_je <> round(p_je, 2) then
    set p_code = -1, p_msg = '金额错误', v_effect = 'refused: 金额错误';
  else
    if v_repeats = 'double' then
      select coalesce(max(cs), 0) + 1 into v_cs from zjk_jf where ddh = p_ddh for update;
    end if;
    select sjh, je into p_sjh, p_yje from zjk_jf where ddh = p_ddh and cs = v_cs;
    if p_sjh is null then
      if exists (select 1 from zjk_cf_zf where yx = 1 and find_in_set(cfh, p_cfhs) > 0) then
        set p_code = -1, p_msg = '处方已作废', v_effect = 'refused: 处方已作废';
      else
        begin
          declare continue handler for 1062 set v_taken = 1; -- somebody else was faster
          insert into zjk_jf (ddh, cs, sjh, cfhs, je, zfqd, jylsh, zfsj, czy, jzsj)
          values (p_ddh, v_cs, concat('S', lpad(nextval(his_no_seq), 7, '0')), coalesce(p_cfhs, ''), p_je, p_zfqd, p_jylsh,
                  coalesce(p_zfsj, utc_timestamp(3) + interval 8 hour), p_czy, coalesce((select value from his_option where name = 'clock'), utc_timestamp(3) + interval 8 hour));
        end;
        -- A locking read sees what others have committed, whatever the caller's snapshot.
        select sjh, je into p_sjh, p_yje from zjk_jf where ddh = p_ddh and cs = v_cs lock in share mode;
        if v_taken = 0 then
          set p_code = 0, p_msg = '结算成功';
          if v_cs > 1 then set v_effect = 'again'; end if;
          if v_fault = 'duplicate_answer' then set p_code = 2, p_msg = '订单已结算'; end if;
        end if;
      end if;
    end if;
    if p_code is null then
      set v_effect = 'already';
      if v_repeats <> 'same' then
        set p_code = 2, p_msg = '订单已结算';
      elseif p_yje = p_je then
        set p_code = 0, p_msg = '结算成功';
      else
        set p_code = -1, p_msg = '重复提交内容不一致', v_effect = 'refused: 重复提交内容不一致';
      end if;
    end if;
  end if;
  insert into his_journal (operation, biz_key, effect, fault) values ('zjk_jf_settle', coalesce(p_ddh, ''), v_effect, v_fault);
end;
