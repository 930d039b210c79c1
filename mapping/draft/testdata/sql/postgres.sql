create table department_dict (id serial primary key, dept_code text not null, dept_name text not null, stop_flag char(1) default '0');
create view "v_drug_stock" (drug_code, pharmacy, qty, unit) as select a, b, c, d from x;
comment on column department_dict.dept_name is '科室名称';
create procedure settle_order(in order_id text, in amount numeric, inout code text, inout message text) language sql as $$ select 1 $$;
