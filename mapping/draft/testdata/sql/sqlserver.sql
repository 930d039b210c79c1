USE [middle]
GO
CREATE TABLE [dbo].[RECIPE_MAIN](
	[ID] [bigint] IDENTITY(1,1) NOT NULL,
	[RECIPE_NO] [varchar](32) NOT NULL, -- 处方号
	[PATID] [varchar](20) NOT NULL,
	[XM] [nvarchar](32) NOT NULL,
	[ZJE] [decimal](12, 2) NOT NULL,
	[DQSJ] [datetime] NULL,
 CONSTRAINT [UQ_R] UNIQUE ([RECIPE_NO])
)
GO
EXEC sys.sp_addextendedproperty @name=N'MS_Description', @value=N'患者姓名', @level0type=N'SCHEMA',@level0name=N'dbo', @level1type=N'TABLE',@level1name=N'RECIPE_MAIN', @level2type=N'COLUMN',@level2name=N'XM'
GO
CREATE PROCEDURE dbo.USP_VOID_RECIPE @RECIPE_NO varchar(32), @RESULT int OUTPUT, @MSG nvarchar(200) OUTPUT AS BEGIN RETURN 0 END
GO
